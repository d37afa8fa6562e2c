{{/*
The server's variables, except those of extraEnv. A setting that depends on another value is here; _settings.tpl has the
rest. `[::]` is all addresses of both IP families, and on a host without IPv6 all of IPv4.
*/}}
{{- define "quoter.env" -}}
{{- $drain := include "quoter.drain" . | fromJson -}}
- name: APP_LISTEN
  value: "[::]:{{ int .Values.containerPorts.grpc }}"
- name: APP_METRICS_LISTEN
  value: "[::]:{{ int .Values.containerPorts.metrics }}"
- name: APP_AUTH_MODE
  value: {{ .Values.auth.mode }}
{{- if eq .Values.auth.mode "tokens" }}
- name: APP_AUTH_TOKENS_FILE
  value: /run/secrets/quoter/tokens
{{- else if eq .Values.auth.mode "jwt" }}
- name: APP_JWT_ISSUER
  value: {{ .Values.auth.jwt.issuer | quote }}
- name: APP_JWT_AUDIENCE
  value: {{ .Values.auth.jwt.audience | quote }}
- name: APP_JWT_ALGORITHMS
  value: {{ join "," .Values.auth.jwt.algorithms | quote }}
- name: APP_JWT_LEEWAY
  value: {{ .Values.auth.jwt.leewaySeconds | quote }}
{{- if .Values.auth.jwt.jwksUrl }}
- name: APP_JWT_JWKS_URL
  value: {{ .Values.auth.jwt.jwksUrl | quote }}
- name: APP_JWT_JWKS_ALLOW_HTTP
  value: {{ .Values.auth.jwt.jwksAllowHttp | quote }}
{{- with .Values.auth.jwt.jwksCa }}
{{- if or .existingSecret .existingConfigMap }}
- name: SSL_CERT_FILE
  value: /run/secrets/jwks-ca/{{ .key }}
{{- end }}
{{- end }}
{{- else }}
- name: APP_JWT_KEYS_FILE
  value: /run/secrets/jwt/{{ .Values.auth.jwt.keys.key }}
{{- end }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: APP_TLS_CERT_FILE
  value: /run/secrets/tls/tls.crt
- name: APP_TLS_KEY_FILE
  value: /run/secrets/tls/tls.key
{{- if .Values.tls.clientCa.enabled }}
- name: APP_TLS_CLIENT_CA_FILE
  value: /run/secrets/{{ ternary "client-ca" "tls" (ne .Values.tls.clientCa.existingSecret "") }}/ca.crt
{{- end }}
{{- end }}
{{- include "quoter.databaseEnv" . }}
{{- include "quoter.ofServices" (dict "template" "env" "context" .) }}
- name: APP_DRAIN_DELAY
  value: {{ $drain.delay | quote }}
- name: APP_DRAIN_GRACE
  value: {{ $drain.grace | quote }}
- name: APP_MAX_CONNECTION_AGE
  value: {{ $drain.age | quote }}
- name: APP_MAX_DEADLINE
  value: {{ $drain.deadline | quote }}
{{- include "quoter.settings" . }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: OTEL_RESOURCE_ATTRIBUTES
  value: >-
    service.instance.id=$(POD_NAME),k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(NODE_NAME){{ range $key, $value := .Values.otel.resourceAttributes }},{{ $key }}={{ $value }}{{ end }}
{{- with .Values.otel.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}
