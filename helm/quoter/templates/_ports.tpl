{{/* The ports of the first Service: the containers', unless the values name others. As JSON. */}}
{{- define "quoter.servicePorts" -}}
{{- $grpc := .Values.service.grpcPort | default .Values.containerPorts.grpc | int }}
{{- $metrics := .Values.service.metricsPort | default .Values.containerPorts.metrics | int }}
{{- dict "grpc" $grpc "metrics" $metrics | toJson }}
{{- end }}

{{/* Whether the first Service has the port of metrics: not where it may be reached from outside of the cluster. */}}
{{- define "quoter.metricsInService" -}}
{{- if eq .Values.service.type "ClusterIP" }}true{{ end }}
{{- end }}

{{/* The Service with the port of metrics, and that port, as JSON. */}}
{{- define "quoter.metricsService" -}}
{{- $name := include "quoter.fullname" . }}
{{- if include "quoter.metricsInService" . }}
{{- dict "name" $name "port" (include "quoter.servicePorts" . | fromJson).metrics "component" "server" | toJson }}
{{- else }}
{{- dict "name" (printf "%s-headless" $name) "port" (int .Values.containerPorts.metrics) "component" "addresses" | toJson }}
{{- end }}
{{- end }}

{{/* The IP families of a Service. */}}
{{- define "quoter.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
