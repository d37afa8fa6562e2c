{{/*
The volumes of the database: name, mount path and source. Takes `secret`, the name of the Secret with the URL or its parts,
of which the whole directory is given to the server, and `context`, the chart's.
*/}}
{{- define "quoter.databaseMounts" }}
{{- with .context.Values.database }}
{{- if $.secret }}
- name: database
  path: /run/secrets/database
  volume:
    secret:
      secretName: {{ $.secret }}
      defaultMode: 0440
      {{- with .keys }}
      items:
        {{- range $name, $key := . }}
        - key: {{ $key | quote }}
          path: {{ $name }}
        {{- end }}
      {{- end }}
{{- if or .ca.existingSecret .ca.existingConfigMap }}
- name: database-ca
  path: /run/secrets/database-ca
  volume:
    {{- include "quoter.oneKey" .ca | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The variables that name the database. libpq takes those of TLS for URLs that do not have them. */}}
{{- define "quoter.databaseEnv" }}
{{- with .Values.database }}
{{- if .existingSecret }}
- name: APP_DATABASE_URL_FILE
  value: /run/secrets/database
{{- $ca := or .ca.existingSecret .ca.existingConfigMap }}
{{- with default (ternary "verify-full" "" (not (empty (or $ca .ca.public)))) .sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if $ca }}
- name: PGSSLROOTCERT
  value: /run/secrets/database-ca/{{ .ca.key }}
{{- else if .ca.public }}
{{- /* Not `system`: the OpenSSL in psycopg's wheel looks for those of its own folder, which does not exist. */}}
- name: PGSSLROOTCERT
  value: /etc/ssl/certs/ca-certificates.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
How many connections the pods may have at once, by the pool and the one of readiness. In a rolling update the pods of both
revisions have theirs, because those that drain still serve; a Job that migrates has up to two more.
*/}}
{{- define "quoter.databaseConnections" -}}
{{- $pods := ternary .Values.autoscaling.maxReplicas .Values.replicaCount .Values.autoscaling.enabled | int }}
{{- $revisions := ternary 1 2 (eq (default "RollingUpdate" .Values.strategy.type) "Recreate") }}
{{- $migrating := ternary 2 0 (eq .Values.database.migrate.mode "job") }}
{{- $pool := int .Values.database.poolSize }}
{{- $sum := add (mul $revisions $pods (add $pool 1)) $migrating }}
{{- dict "pods" $pods "revisions" $revisions "pool" $pool "migrating" $migrating "sum" $sum | toJson }}
{{- end }}
