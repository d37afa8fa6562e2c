{{/*
The times of a drain in seconds, as JSON.

A client uses a pod until its connection ends (`age`, and up to a tenth more, which gRPC adds at random) and it has
resolved addresses again (`lookup`). The pod must keep serving for that time, `needed`. A call that starts at its end
must finish within the rest of delay and grace, `longest`. With a delay or a grace of 0 the drain is off, and `lossless`
is false.
*/}}
{{- define "quoter.drain" }}
{{- $lookup := int .Values.drain.clientLookupSeconds }}
{{- $age := int .Values.maxConnectionAgeSeconds }}
{{- $needed := mulf $age 1.1 | ceil | int | add $lookup | int }}
{{- $delay := add $needed 4 | int }}
{{- if not (kindIs "invalid" .Values.drain.delaySeconds) }}
{{- $delay = int .Values.drain.delaySeconds }}
{{- end }}
{{- $grace := int .Values.drain.graceSeconds }}
{{- $longest := sub (add $delay $grace) $needed | int }}
{{- $lossless := and (gt $delay 0) (gt $grace 0) }}
{{- $deadline := 300.0 }}
{{- if not (kindIs "invalid" .Values.server.maxDeadlineSeconds) }}
{{- $deadline = float64 .Values.server.maxDeadlineSeconds }}
{{- else if and $lossless (gt $longest 0) }}
{{- $deadline = minf 300 $longest }}
{{- end }}
{{- dict "lookup" $lookup "age" $age "needed" $needed "delay" $delay "grace" $grace "longest" $longest "lossless" $lossless "deadline" $deadline "total" (add $delay $grace 10) | toJson }}
{{- end }}
