{{/* A parent chart that does not leave this one out, although its values say so. */}}
{{- define "quoter.check.parent" }}
{{- if kindIs "bool" .Values.enabled }}
{{- if not .Values.enabled }}
- {{ printf "enabled is false, but the dependency of the parent chart does not name it: add `condition: %s.enabled` there" .Chart.Name | quote }}
{{- end }}
{{- end }}
{{- end }}
