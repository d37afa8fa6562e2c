{{/* Fails with every conflict between values. The schema checks each value by itself. */}}
{{- define "quoter.check" -}}
{{- $wrong := include "quoter.renamed" . | fromYamlArray }}
{{- $drain := include "quoter.drain" . | fromJson }}
{{- if $drain.lossless }}
{{- if le $drain.delay $drain.needed }}
{{- $wrong = append $wrong (printf "drain.delaySeconds is %v, but clients may call a pod for %v seconds after it was asked to end: they resolve addresses within %v s (drain.clientLookupSeconds), and keep a connection for %v s and up to a tenth longer (maxConnectionAgeSeconds). Set it to more than %v, or to 0 for no drain" $drain.delay $drain.needed $drain.lookup $drain.age $drain.needed) }}
{{- else if gt $drain.deadline $drain.longest }}
{{- $wrong = append $wrong (printf "server.maxDeadlineSeconds is %v, but a call has only %v seconds before a draining pod is killed: drain.delaySeconds (%v) and drain.graceSeconds (%v), minus the %v during which clients still call it. Set drain.graceSeconds to %v or more, or server.maxDeadlineSeconds to %v or less" $drain.deadline $drain.longest $drain.delay $drain.grace $drain.needed (sub (add (ceil $drain.deadline) $drain.needed) $drain.delay) $drain.longest) }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if and .existingSecret (ne .mode "tokens") }}
{{- $wrong = append $wrong "auth.existingSecret is only valid with auth.mode=tokens" }}
{{- end }}
{{- if and .require (eq .mode "none") }}
{{- $wrong = append $wrong "auth.require is only valid with auth.mode=tokens or auth.mode=jwt" }}
{{- end }}
{{- $sources := compact (list .jwt.jwksUrl .jwt.keys.existingSecret .jwt.keys.existingConfigMap) }}
{{- if ne .mode "jwt" }}
{{- if or .jwt.issuer .jwt.audience .jwt.jwksAllowHttp .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap $sources }}
{{- $wrong = append $wrong "auth.jwt is only valid with auth.mode=jwt" }}
{{- end }}
{{- else }}
{{- if not .jwt.issuer }}
{{- $wrong = append $wrong "auth.mode=jwt requires auth.jwt.issuer" }}
{{- end }}
{{- if not .jwt.audience }}
{{- $wrong = append $wrong "auth.mode=jwt requires auth.jwt.audience" }}
{{- end }}
{{- if and .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap }}
{{- $wrong = append $wrong "auth.jwt.jwksCa.existingSecret and auth.jwt.jwksCa.existingConfigMap conflict: set only one" }}
{{- end }}
{{- if and (or .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap) (not .jwt.jwksUrl) }}
{{- $wrong = append $wrong "auth.jwt.jwksCa is only valid with auth.jwt.jwksUrl" }}
{{- end }}
{{- if ne (len $sources) 1 }}
{{- $wrong = append $wrong "auth.mode=jwt requires exactly one source of keys: auth.jwt.jwksUrl, auth.jwt.keys.existingSecret or auth.jwt.keys.existingConfigMap" }}
{{- end }}
{{- if and (hasPrefix "http://" .jwt.jwksUrl) (not .jwt.jwksAllowHttp) (not (regexMatch "^http://(localhost|127[.][0-9.]+|[[]::1[]])([:/?]|$)" .jwt.jwksUrl)) }}
{{- $wrong = append $wrong "auth.jwt.jwksUrl is not secure: set a URL of https, or auth.jwt.jwksAllowHttp=true if the network encrypts" }}
{{- end }}
{{- if and .jwt.jwksUrl (has "HS256" .jwt.algorithms) }}
{{- $wrong = append $wrong "HS256 in auth.jwt.algorithms requires a secret, which auth.jwt.jwksUrl cannot provide: set auth.jwt.keys.existingSecret instead" }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if not .enabled }}
{{- if or .existingSecret .certManager.enabled .clientCa.enabled }}
{{- $wrong = append $wrong "tls.existingSecret, tls.certManager and tls.clientCa are only valid with tls.enabled" }}
{{- end }}
{{- else if and .existingSecret .certManager.enabled }}
{{- $wrong = append $wrong "tls.existingSecret and tls.certManager.enabled conflict: set only one" }}
{{- else if not (or .existingSecret .certManager.enabled) }}
{{- $wrong = append $wrong "tls.enabled requires a certificate: set tls.existingSecret or tls.certManager.enabled" }}
{{- end }}
{{- if and .certManager.enabled (not .certManager.issuer.name) }}
{{- $wrong = append $wrong "tls.certManager.enabled requires tls.certManager.issuer.name" }}
{{- end }}
{{- if and .clientCa.existingSecret (not .clientCa.enabled) }}
{{- $wrong = append $wrong "tls.clientCa.existingSecret is only valid with tls.clientCa.enabled" }}
{{- end }}
{{- end }}
{{- $wrong = concat $wrong (include "quoter.ofServices" (dict "template" "check" "context" .) | fromYamlArray) }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- $wrong = append $wrong (printf "autoscaling.minReplicas (%v) is greater than autoscaling.maxReplicas (%v)" .minReplicas .maxReplicas) }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.metrics) (not (dig "requests" "cpu" "" .Values.resources)) }}
{{- $wrong = append $wrong "autoscaling.enabled requires resources.requests.cpu, because utilization is relative to it" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- $wrong = append $wrong "serviceMonitor.enabled and podMonitor.enabled would scrape each pod twice: set only one" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
{{- $wrong = append $wrong "grpcRoute.enabled requires grpcRoute.parentRefs" }}
{{- end }}
{{- with .Values.service }}
{{- if eq .type "ClusterIP" }}
{{- if or .nodePort .externalTrafficPolicy }}
{{- $wrong = append $wrong "service.nodePort and service.externalTrafficPolicy are only valid with service.type=NodePort or LoadBalancer" }}
{{- end }}
{{- end }}
{{- if and (ne .type "LoadBalancer") (or .loadBalancerClass .loadBalancerIP .loadBalancerSourceRanges) }}
{{- $wrong = append $wrong "service.loadBalancerClass, service.loadBalancerIP and service.loadBalancerSourceRanges are only valid with service.type=LoadBalancer" }}
{{- end }}
{{- if and (eq .type "ClusterIP") (eq (toString (.grpcPort | default $.Values.containerPorts.grpc)) (toString (.metricsPort | default $.Values.containerPorts.metrics))) }}
{{- $wrong = append $wrong "service.grpcPort and service.metricsPort are the same port" }}
{{- end }}
{{- end }}
{{- with .Values.containerPorts }}
{{- if eq (int .grpc) (int .metrics) }}
{{- $wrong = append $wrong "containerPorts.grpc and containerPorts.metrics are the same port" }}
{{- end }}
{{- end }}
{{- if kindIs "bool" .Values.enabled }}
{{- if not .Values.enabled }}
{{- $wrong = append $wrong (printf "enabled is false, but the dependency of the parent chart does not name it: add `condition: %s.enabled` there" .Chart.Name) }}
{{- end }}
{{- end }}
{{- $valueOf := include "quoter.valueOfVariable" . | fromYaml }}
{{- $set := list }}
{{- range include "quoter.env" . | fromYamlArray }}
{{- $set = append $set .name }}
{{- end }}
{{- range .Values.extraEnv }}
{{- $value := get $valueOf .name }}
{{- if and $value (or (has .name $set) (hasPrefix "APP_" .name)) }}
{{- $wrong = append $wrong (printf "extraEnv cannot set %s, which follows from the chart's values: set %s" .name $value) }}
{{- else if has .name $set }}
{{- $wrong = append $wrong (printf "extraEnv sets %s, which is already set" .name) }}
{{- end }}
{{- $set = append $set .name }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "conflicting values:\n- %s" (join "\n- " $wrong)) }}
{{- end }}
{{- end }}
