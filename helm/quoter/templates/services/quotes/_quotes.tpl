{{/* The ConfigMap with the quotes: the chart's, or the one that the values name. Empty for the quotes of the image. */}}
{{- define "service.quotes.configMap" -}}
{{- if or .Values.quotes.text .Values.quotes.existingConfigMap }}
{{- default (printf "%s-quotes" (include "quoter.fullname" .)) .Values.quotes.existingConfigMap }}
{{- end }}
{{- end }}

{{- define "service.quotes.env" }}
{{- if include "service.quotes.configMap" . }}
- name: APP_QUOTES_FILE
  value: /etc/quotes/quotes.txt
{{- end }}
{{- end }}

{{- define "service.quotes.volumes" }}
{{- with include "service.quotes.configMap" . }}
- name: quotes
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "service.quotes.volumeMounts" }}
{{- if include "service.quotes.configMap" . }}
- name: quotes
  mountPath: /etc/quotes
  readOnly: true
{{- end }}
{{- end }}

{{- define "service.quotes.check" }}
{{- if and .Values.quotes.text .Values.quotes.existingConfigMap }}
- "quotes.text and quotes.existingConfigMap are two sources of quotes: set only one"
{{- end }}
{{- end }}
