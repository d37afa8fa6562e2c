{{/* Fails, with all that is wrong in words, where values do not go together. Single ones are the schema's. */}}
{{- define "quoter.check" -}}
{{- $wrong := list }}
{{- $drain := include "quoter.drain" . | fromJson }}
{{- if $drain.lossless }}
{{- if le $drain.delay $drain.needed }}
{{- $wrong = append $wrong (printf "drain.delaySeconds is %v, but a client may call a pod for %v seconds after it was told to end: it looks addresses up within %v (drain.clients: %s), and keeps a connection for %v and up to a tenth more (maxConnectionAgeSeconds). Set it to more than %v, or to 0 for no drain" $drain.delay $drain.needed $drain.lookup .Values.drain.clients $drain.age $drain.needed) }}
{{- else if gt $drain.deadline $drain.longest }}
{{- $wrong = append $wrong (printf "limits.maxDeadlineSeconds is %v, but a pod that ends leaves a call %v seconds: drain.delaySeconds (%v) and drain.graceSeconds (%v), less the %v for which clients still call it. Set drain.graceSeconds to %v or more, or the deadline to %v or less" $drain.deadline $drain.longest $drain.delay $drain.grace $drain.needed (sub (add (ceil $drain.deadline) $drain.needed) $drain.delay) $drain.longest) }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if and .existingSecret (ne .mode "tokens") }}
{{- $wrong = append $wrong "auth.existingSecret counts only with auth.mode=tokens: say that, or leave it out" }}
{{- end }}
{{- if and .require (eq .mode "none") }}
{{- $wrong = append $wrong "auth.require counts only with auth.mode=tokens or jwt: say one, or leave it out" }}
{{- end }}
{{- $sources := compact (list .jwt.jwksUrl .jwt.keys.existingSecret .jwt.keys.existingConfigMap) }}
{{- if ne .mode "jwt" }}
{{- if or .jwt.issuer .jwt.audience $sources }}
{{- $wrong = append $wrong "auth.jwt counts only with auth.mode=jwt: say that, or leave it out" }}
{{- end }}
{{- else }}
{{- if not .jwt.issuer }}
{{- $wrong = append $wrong "auth.mode=jwt needs auth.jwt.issuer, as the tokens have it" }}
{{- end }}
{{- if not .jwt.audience }}
{{- $wrong = append $wrong "auth.mode=jwt needs auth.jwt.audience, as the tokens have it" }}
{{- end }}
{{- if ne (len $sources) 1 }}
{{- $wrong = append $wrong "auth.mode=jwt needs the issuer's keys from one place: auth.jwt.jwksUrl, auth.jwt.keys.existingSecret or auth.jwt.keys.existingConfigMap" }}
{{- end }}
{{- if and .jwt.jwksUrl (has "HS256" .jwt.algorithms) }}
{{- $wrong = append $wrong "HS256 in auth.jwt.algorithms needs a secret, and a secret does not come from auth.jwt.jwksUrl: name auth.jwt.keys.existingSecret" }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if not .enabled }}
{{- if or .existingSecret .certManager.enabled .clientCa.enabled }}
{{- $wrong = append $wrong "tls.existingSecret, tls.certManager and tls.clientCa count only with tls.enabled: say that, or leave them out" }}
{{- end }}
{{- else if and .existingSecret .certManager.enabled }}
{{- $wrong = append $wrong "tls.existingSecret and tls.certManager.enabled are two certificates: leave one out" }}
{{- else if not (or .existingSecret .certManager.enabled) }}
{{- $wrong = append $wrong "tls.enabled needs a certificate: name tls.existingSecret, or turn tls.certManager.enabled on" }}
{{- end }}
{{- if and .certManager.enabled (not .certManager.issuer.name) }}
{{- $wrong = append $wrong "tls.certManager.enabled needs tls.certManager.issuer.name" }}
{{- end }}
{{- if and .clientCa.existingSecret (not .clientCa.enabled) }}
{{- $wrong = append $wrong "tls.clientCa.existingSecret counts only with tls.clientCa.enabled: say that, or leave it out" }}
{{- end }}
{{- end }}
{{- if and .Values.quotes.text .Values.quotes.existingConfigMap }}
{{- $wrong = append $wrong "quotes.text and quotes.existingConfigMap are two sources of quotes: leave one out" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- $wrong = append $wrong (printf "autoscaling.minReplicas (%v) is above autoscaling.maxReplicas (%v)" .minReplicas .maxReplicas) }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" .Values.resources)) }}
{{- $wrong = append $wrong "autoscaling.enabled needs resources.requests.cpu, which the use is counted against" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- $wrong = append $wrong "serviceMonitor.enabled and podMonitor.enabled would have each pod scraped twice: leave one out" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
{{- $wrong = append $wrong "grpcRoute.enabled needs grpcRoute.parentRefs, the Gateways that it is for" }}
{{- end }}
{{- $set := list }}
{{- range include "quoter.env" . | fromYamlArray }}
{{- $set = append $set .name }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if has .name $set }}
{{- $wrong = append $wrong (printf "extraEnv has %s, which is set already: the values have one for it, or it stands there twice" .name) }}
{{- end }}
{{- $set = append $set .name }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "these values do not go together:\n- %s" (join "\n- " $wrong)) }}
{{- end }}
{{- end }}
