{{/* Limits of the autoscaler that no number of pods meets, and monitors that would count twice. */}}
{{- define "quoter.check.scaling" }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
- {{ printf "autoscaling.minReplicas (%v) is greater than autoscaling.maxReplicas (%v)" .minReplicas .maxReplicas | quote }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.metrics) (not (dig "requests" "cpu" "" .Values.resources)) }}
- "autoscaling.enabled requires resources.requests.cpu, because utilization is relative to it"
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
- "serviceMonitor.enabled and podMonitor.enabled would scrape each pod twice: set only one"
{{- end }}
{{- end }}
