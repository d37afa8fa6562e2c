{{/* Sources of the database's URL, and values that have no effect without one. */}}
{{- define "quoter.check.database" }}
{{- with .Values.database }}
{{- if not .existingSecret }}
{{- if or .keys .sslMode .ca.existingSecret .ca.existingConfigMap .migrate.existingSecret (eq .migrate.mode "init-container") }}
- "database.keys, database.sslMode, database.ca and database.migrate are only valid with database.existingSecret"
{{- end }}
{{- end }}
{{- if .keys }}
{{- $missing := list }}
{{- range list "host" "user" "password" "dbname" }}
{{- if not (hasKey $.Values.database.keys .) }}{{ $missing = append $missing . }}{{ end }}
{{- end }}
{{- if and $missing (not .keys.uri) }}
- {{ printf "database.keys lacks %s: name the key of `uri`, or those of `host`, `user`, `password` and `dbname`" (join ", " $missing) | quote }}
{{- end }}
{{- end }}
{{- if and .ca.existingSecret .ca.existingConfigMap }}
- "database.ca.existingSecret and database.ca.existingConfigMap conflict: set only one"
{{- end }}
{{- if and .migrate.existingSecret (eq .migrate.mode "none") }}
- "database.migrate.existingSecret is only valid with database.migrate.mode=job or init-container"
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
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
