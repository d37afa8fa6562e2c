{{/*
How long each part of a pod's end takes, in seconds, as JSON.

A client goes on using a pod until its connection ends (`age`, and up to a tenth more: gRPC spreads them) and it has
looked addresses up again (`lookup`). So long the pod must serve as before, and that is `needed`. A call that begins
then must be done within what is left of delay and grace, and that is `longest`. With a delay or a grace of 0 somebody
has turned that off, and `lossless` is false.
*/}}
{{- define "quoter.drain" }}
{{- $lookup := ternary 1 30 (eq .Values.drain.clients "own") }}
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
{{- if not (kindIs "invalid" .Values.limits.maxDeadlineSeconds) }}
{{- $deadline = float64 .Values.limits.maxDeadlineSeconds }}
{{- else if and $lossless (gt $longest 0) }}
{{- $deadline = minf 300 $longest }}
{{- end }}
{{- dict "lookup" $lookup "age" $age "needed" $needed "delay" $delay "grace" $grace "longest" $longest "lossless" $lossless "deadline" $deadline "total" (add $delay $grace 10) | toJson }}
{{- end }}
