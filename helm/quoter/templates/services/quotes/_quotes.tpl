{{/* The ConfigMap with the quotes: the chart's, or the one that the values name. Empty for the quotes of the image. */}}
{{- define "quoter.service.quotes.configMap" -}}
{{- if or .Values.quotes.text .Values.quotes.existingConfigMap }}
{{- default (printf "%s-quotes" (include "quoter.fullname" .)) .Values.quotes.existingConfigMap }}
{{- end }}
{{- end }}

{{- define "quoter.service.quotes.env" }}
{{- if include "quoter.service.quotes.configMap" . }}
- name: APP_QUOTES_FILE
  value: /etc/quotes/quotes.txt
{{- end }}
{{- end }}

{{- define "quoter.service.quotes.volumes" }}
{{- with include "quoter.service.quotes.configMap" . }}
- name: quotes
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "quoter.service.quotes.volumeMounts" }}
{{- if include "quoter.service.quotes.configMap" . }}
- name: quotes
  mountPath: /etc/quotes
  readOnly: true
{{- end }}
{{- end }}

{{- define "quoter.service.quotes.check" }}
{{- if and .Values.quotes.text .Values.quotes.existingConfigMap }}
- "quotes.text and quotes.existingConfigMap are two sources of quotes: set only one"
{{- end }}
{{- end }}
