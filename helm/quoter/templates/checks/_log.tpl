{{/* Values of the log that have no effect. */}}
{{- define "quoter.check.log" }}
{{- if and .Values.log.gcpProject (ne .Values.log.fields "gcp") }}
- "log.gcpProject is only valid with log.fields=gcp"
{{- end }}
{{- end }}
