{{/*
The three probes. Kubernetes probes gRPC only in plaintext, so with TLS it asks the port of metrics; its two paths are equivalent
to the two names. A drain does not change the health of `liveness`: a draining pod must not be restarted.
*/}}
{{- define "quoter.probes" -}}
{{- $port := int .Values.containerPorts.grpc }}
{{- $liveness := dict "grpc" (dict "port" $port "service" "liveness") }}
{{- $readiness := dict "grpc" (dict "port" $port "service" "") }}
{{- if .Values.tls.enabled }}
{{- $liveness = dict "httpGet" (dict "port" "metrics" "path" "/healthz") }}
{{- $readiness = dict "httpGet" (dict "port" "metrics" "path" "/readyz") }}
{{- end }}
startupProbe:
  {{- merge (deepCopy $liveness) .Values.startupProbe | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (deepCopy $liveness) .Values.livenessProbe | toYaml | nindent 2 }}
readinessProbe:
  {{- merge $readiness .Values.readinessProbe | toYaml | nindent 2 }}
{{- end }}
