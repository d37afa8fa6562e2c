{{/* The volumes of the pods: name, mount path and source. The mode 0440 is readable by fsGroup. */}}
{{- define "quoter.mounts" -}}
{{- if eq .Values.auth.mode "tokens" }}
- name: tokens
  path: /run/secrets/quoter
  volume:
    secret:
      secretName: {{ include "quoter.tokenSecret" . }}
      defaultMode: 0440
{{- end }}
{{- if eq .Values.auth.mode "jwt" }}
{{- with .Values.auth.jwt }}
{{- if not .jwksUrl }}
- name: jwt-keys
  path: /run/secrets/jwt
  volume:
    {{- include "quoter.oneKey" .keys | nindent 4 }}
{{- else if or .jwksCa.existingSecret .jwksCa.existingConfigMap }}
- name: jwks-ca
  path: /run/secrets/jwks-ca
  volume:
    {{- include "quoter.oneKey" .jwksCa | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  path: /run/secrets/tls
  volume:
    secret:
      secretName: {{ include "quoter.tlsSecret" . }}
      defaultMode: 0440
{{- with .Values.tls.clientCa.existingSecret }}
- name: client-ca
  path: /run/secrets/client-ca
  volume:
    secret:
      secretName: {{ . }}
      defaultMode: 0440
      # Not the CA's key, if the Secret has it too.
      items:
        - key: ca.crt
          path: ca.crt
{{- end }}
{{- end }}
{{- include "quoter.databaseMounts" (dict "secret" .Values.database.existingSecret "context" .) }}
{{- end }}

{{/* The volume of one key of a Secret or ConfigMap. */}}
{{- define "quoter.oneKey" -}}
{{- if .existingSecret }}
secret:
  secretName: {{ .existingSecret }}
{{- else }}
configMap:
  name: {{ .existingConfigMap }}
{{- end }}
  defaultMode: 0440
  items:
    - key: {{ .key }}
      path: {{ .key }}
{{- end }}
