{{/* A drain that is too short for clients, or for the longest call. */}}
{{- define "quoter.check.drain" }}
{{- $drain := include "quoter.drain" . | fromJson }}
{{- if $drain.lossless }}
{{- if le $drain.delay $drain.needed }}
- {{ printf "drain.delaySeconds is %v, but clients may call a pod for %v seconds after it was asked to end: they resolve addresses within %v s (drain.clientLookupSeconds), and keep a connection for %v s and up to a tenth longer (maxConnectionAgeSeconds). Set it to more than %v, or to 0 for no drain" $drain.delay $drain.needed $drain.lookup $drain.age $drain.needed | quote }}
{{- else if gt $drain.deadline $drain.longest }}
- {{ printf "server.maxDeadlineSeconds is %v, but a call has only %v seconds before a draining pod is killed: drain.delaySeconds (%v) and drain.graceSeconds (%v), minus the %v during which clients still call it. Set drain.graceSeconds to %v or more, or server.maxDeadlineSeconds to %v or less" $drain.deadline $drain.longest $drain.delay $drain.grace $drain.needed (sub (add (ceil $drain.deadline) $drain.needed) $drain.delay) $drain.longest | quote }}
{{- end }}
{{- end }}
{{- end }}
