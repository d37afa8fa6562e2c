{{/* Ports, Services and routes. */}}
{{- define "quoter.check.network" }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
- "grpcRoute.enabled requires grpcRoute.parentRefs"
{{- end }}
{{- with .Values.service }}
{{- if eq .type "ClusterIP" }}
{{- if or .nodePort .externalTrafficPolicy }}
- "service.nodePort and service.externalTrafficPolicy are only valid with service.type=NodePort or LoadBalancer"
{{- end }}
{{- end }}
{{- if and .metricsPort (not (include "quoter.metricsInService" $)) }}
- {{ printf "service.metricsPort is only valid with service.type=ClusterIP: with %s the Service has no port of metrics. Leave it out; the headless Service has containerPorts.metrics" .type | quote }}
{{- end }}
{{- if and (ne .type "LoadBalancer") (or .loadBalancerClass .loadBalancerIP .loadBalancerSourceRanges) }}
- "service.loadBalancerClass, service.loadBalancerIP and service.loadBalancerSourceRanges are only valid with service.type=LoadBalancer"
{{- end }}
{{- if and (eq .type "ClusterIP") (eq (toString (.grpcPort | default $.Values.containerPorts.grpc)) (toString (.metricsPort | default $.Values.containerPorts.metrics))) }}
- "service.grpcPort and service.metricsPort are the same port"
{{- end }}
{{- end }}
{{- with .Values.containerPorts }}
{{- if eq (int .grpc) (int .metrics) }}
- "containerPorts.grpc and containerPorts.metrics are the same port"
{{- end }}
{{- end }}
{{- end }}
