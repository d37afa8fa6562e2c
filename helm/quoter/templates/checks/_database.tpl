{{/* Sources of the database's URL, and values that have no effect without one. */}}
{{- define "quoter.check.database" }}
{{- with .Values.database }}
{{- $cas := without (list .ca.existingSecret .ca.existingConfigMap (ternary "public" "" .ca.public)) "" }}
{{- if not .existingSecret }}
{{- if or .keys .sslMode $cas (ne .ca.key "ca.crt") .migrate.existingSecret (eq .migrate.mode "init-container") }}
- "database.keys, database.sslMode, database.ca and database.migrate are only valid with database.existingSecret"
{{- end }}
{{- else if not $cas }}
{{- if hasPrefix "verify-" .sslMode }}
- {{ printf "database.sslMode=%s requires a CA: set database.ca.existingSecret or database.ca.existingConfigMap, or database.ca.public=true for public CAs. If the URL has an sslrootcert, give it the sslmode, too, and leave database.sslMode empty" .sslMode | quote }}
{{- end }}
{{- if ne .ca.key "ca.crt" }}
- "database.ca.key is only valid with database.ca.existingSecret or database.ca.existingConfigMap"
{{- end }}
{{- end }}
{{- if .keys }}
{{- $parts := list }}
{{- range list "host" "port" "user" "password" "dbname" }}
{{- if hasKey $.Values.database.keys . }}{{ $parts = append $parts . }}{{ end }}
{{- end }}
{{- if and .keys.uri $parts }}
- {{ printf "database.keys names uri and %s: name the key of the URL, or those of its parts" (join ", " $parts) | quote }}
{{- end }}
{{- $missing := list }}
{{- range list "host" "user" "password" "dbname" }}
{{- if not (hasKey $.Values.database.keys .) }}{{ $missing = append $missing . }}{{ end }}
{{- end }}
{{- if and $missing (not .keys.uri) }}
- {{ printf "database.keys lacks %s: name the key of `uri`, or those of `host`, `user`, `password` and `dbname`" (join ", " $missing) | quote }}
{{- end }}
{{- end }}
{{- if gt (len $cas) 1 }}
- "database.ca.existingSecret, database.ca.existingConfigMap and database.ca.public conflict: set only one"
{{- end }}
{{- if and .ca.public (not (has .sslMode (list "" "verify-full"))) }}
- {{ printf "database.ca.public requires database.sslMode=verify-full, not %s, since public CAs have certificates for everyone: leave database.sslMode empty" .sslMode | quote }}
{{- end }}
{{- if and .migrate.existingSecret (eq .migrate.mode "none") }}
- "database.migrate.existingSecret is only valid with database.migrate.mode=job or init-container"
{{- end }}
{{- end }}
{{- $valueOf := include "quoter.valueOfVariable" . | fromYaml }}
{{- range .Values.extraEnv }}
{{- if and $.Values.database.existingSecret (hasPrefix "PG" .name) (not (hasKey $valueOf .name)) }}
- {{ printf "extraEnv cannot set %s, which a migration would not have: give the setting to the URL in database.existingSecret (its key `uri`), such as ?options=… for PGOPTIONS" .name | quote }}
{{- end }}
{{- if and (eq .name "APP_DATABASE_URL") (regexMatch "(?i)^\\s*postgres(ql)?:" (default "" .value)) }}
- "APP_DATABASE_URL in extraEnv would have its password in the Deployment, and nothing would apply the migrations: put the URL into a Secret, under the key `uri`, and set database.existingSecret to its name"
{{- end }}
{{- if and (has .name (list "APP_DATABASE_URL" "APP_DATABASE_URL_FILE")) $.Values.database.existingSecret }}
- {{ printf "%s in extraEnv and database.existingSecret are two databases: set only one" .name | quote }}
{{- end }}
{{- if and (eq .name "APP_DATABASE_URL") (hasPrefix "sqlite:" (default "" .value)) }}
{{- if or $.Values.autoscaling.enabled (gt (int $.Values.replicaCount) 1) (ne (default "" $.Values.strategy.type) "Recreate") }}
- "APP_DATABASE_URL in extraEnv is a file of SQLite, which only one pod may use: set replicaCount=1, strategy.type=Recreate and autoscaling.enabled=false, or database.existingSecret"
{{- end }}
{{- end }}
{{- end }}
{{- end }}
