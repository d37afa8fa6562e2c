{{/*
The memory that a pod may need if clients use all limits at once, and its limit, both in MiB, as JSON; `limit` is 0 where
there is none. The same sum as in app/runtime/memory.py, whose parts are explained there.
*/}}
{{- define "quoter.memory" }}
{{- $server := .Values.server }}
{{- $reserve := ternary 1.0 (addf 1.0 $server.shareReserve) (eq $server.shareBy "none") }}
{{- $streams := mulf $server.maxStreams $reserve | ceil }}
{{- $threads := addf (mulf (addf $server.workers $server.maxWatches) $reserve | ceil) $streams }}
{{- $calls := addf (mulf 2 (mulf (addf $server.maxCalls $server.maxChecks) $reserve | ceil)) 4000 }}
{{- $arriving := addf $server.maxWaitingCalls $server.maxStreams $streams }}
{{- $message := addf $server.maxMessageBytes (divf $server.maxMessageBytes 16 | floor) }}
{{- $kib := addf (mulf 90 1024) (mulf 20 $calls) (mulf 64 $threads) (mulf 40 $server.maxConnections) }}
{{- $bytes := addf (mulf 3 $server.maxHeldBytes) (mulf $arriving $message) }}
{{- $budget := addf (divf $kib 1024) (divf $bytes 1048576) | floor | int64 }}
{{- $limit := 0 }}
{{- with dig "limits" "memory" "" .Values.resources | toString }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $number := regexFind "^[0-9.]+(e[0-9]+)?" . }}
{{- $limit = divf (mulf (float64 $number) (get $units (trimPrefix $number .) | default 1)) 1048576 | floor | int64 }}
{{- end }}
{{- dict "budget" $budget "limit" $limit | toJson }}
{{- end }}
