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
{{- if and (eq .Values.auth.mode "jwt") (not .Values.auth.jwt.jwksUrl) }}
- name: jwt-keys
  path: /run/secrets/jwt
  volume:
    {{- with .Values.auth.jwt.keys }}
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
{{- end }}
