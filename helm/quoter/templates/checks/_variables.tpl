{{/* Variables that are set twice, or beside the value that decides them. */}}
{{- define "quoter.check.variables" }}
{{- $valueOf := include "quoter.valueOfVariable" . | fromYaml }}
{{- $set := list }}
{{- range include "quoter.env" . | fromYamlArray }}
{{- $set = append $set .name }}
{{- end }}
{{- range .Values.extraEnv }}
{{- $value := get $valueOf .name }}
{{- if and $value (or (has .name $set) (hasPrefix "APP_" .name) (and (hasPrefix "PG" .name) $.Values.database.existingSecret)) }}
- {{ printf "extraEnv cannot set %s, which follows from the chart's values: set %s" .name $value | quote }}
{{- else if has .name $set }}
- {{ printf "extraEnv sets %s, which is already set" .name | quote }}
{{- end }}
{{- $set = append $set .name }}
{{- end }}
{{- end }}
