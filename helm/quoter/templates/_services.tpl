{{/*
The services that have a part in this chart, one a line: the name of their folder in templates/services/, and which named
templates they define there as `quoter.service.NAME.TEMPLATE`. Each renders to a YAML list:

    env           variables of the server
    volumes       volumes of its pods
    volumeMounts  where they are mounted
    check         texts that explain which of the service's values conflict
*/}}
{{- define "quoter.services" -}}
quotes: [env, volumes, volumeMounts, check]
{{- end }}

{{/* What one of these templates renders to for all services that define it. Takes `template` and `context`, the chart's. */}}
{{- define "quoter.ofServices" -}}
{{- range $service, $templates := include "quoter.services" . | fromYaml }}
{{- if has $.template $templates }}
{{- include (printf "quoter.service.%s.%s" $service $.template) $.context }}
{{- end }}
{{- end }}
{{- end }}
