{{/* Certificates that are missing, or given twice. */}}
{{- define "quoter.check.tls" }}
{{- with .Values.tls }}
{{- if not .enabled }}
{{- if or .existingSecret .certManager.enabled .clientCa.enabled }}
- "tls.existingSecret, tls.certManager and tls.clientCa are only valid with tls.enabled"
{{- end }}
{{- else if and .existingSecret .certManager.enabled }}
- "tls.existingSecret and tls.certManager.enabled conflict: set only one"
{{- else if not (or .existingSecret .certManager.enabled) }}
- "tls.enabled requires a certificate: set tls.existingSecret or tls.certManager.enabled"
{{- end }}
{{- if and .certManager.enabled (not .certManager.issuer.name) }}
- "tls.certManager.enabled requires tls.certManager.issuer.name"
{{- end }}
{{- if and .clientCa.existingSecret (not .clientCa.enabled) }}
- "tls.clientCa.existingSecret is only valid with tls.clientCa.enabled"
{{- end }}
{{- end }}
{{- end }}
