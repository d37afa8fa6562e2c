{{/*
Fails with every conflict between values. The schema checks each value by itself. Each check in templates/checks/ renders to a
YAML list of explanations.
*/}}
{{- define "quoter.check" -}}
{{- $wrong := list }}
{{- range list "renamed" "image" "drain" "auth" "tls" "scaling" "network" "log" "database" "parent" "variables" }}
{{- $wrong = concat $wrong (include (printf "quoter.check.%s" .) $ | fromYamlArray) }}
{{- end }}
{{- $wrong = concat $wrong (include "quoter.ofServices" (dict "template" "check" "context" .) | fromYamlArray) }}
{{- if $wrong }}
{{- fail (printf "conflicting values:\n- %s" (join "\n- " $wrong)) }}
{{- end }}
{{- end }}
