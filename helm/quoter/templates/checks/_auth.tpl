{{/* Values of authentication that have no effect, or lack another. */}}
{{- define "quoter.check.auth" }}
{{- with .Values.auth }}
{{- if and .existingSecret (ne .mode "tokens") }}
- "auth.existingSecret is only valid with auth.mode=tokens"
{{- end }}
{{- if and .require (eq .mode "none") }}
- "auth.require is only valid with auth.mode=tokens or auth.mode=jwt"
{{- end }}
{{- $sources := compact (list .jwt.jwksUrl .jwt.keys.existingSecret .jwt.keys.existingConfigMap) }}
{{- if ne .mode "jwt" }}
{{- if or .jwt.issuer .jwt.audience .jwt.jwksAllowHttp .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap $sources }}
- "auth.jwt is only valid with auth.mode=jwt"
{{- end }}
{{- else }}
{{- if not .jwt.issuer }}
- "auth.mode=jwt requires auth.jwt.issuer"
{{- end }}
{{- if not .jwt.audience }}
- "auth.mode=jwt requires auth.jwt.audience"
{{- end }}
{{- if and .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap }}
- "auth.jwt.jwksCa.existingSecret and auth.jwt.jwksCa.existingConfigMap conflict: set only one"
{{- end }}
{{- if and (or .jwt.jwksCa.existingSecret .jwt.jwksCa.existingConfigMap) (not .jwt.jwksUrl) }}
- "auth.jwt.jwksCa is only valid with auth.jwt.jwksUrl"
{{- end }}
{{- if ne (len $sources) 1 }}
- "auth.mode=jwt requires exactly one source of keys: auth.jwt.jwksUrl, auth.jwt.keys.existingSecret or auth.jwt.keys.existingConfigMap"
{{- end }}
{{- if and (hasPrefix "http://" .jwt.jwksUrl) (not .jwt.jwksAllowHttp) (not (regexMatch "^http://(localhost|127[.][0-9.]+|[[]::1[]])([:/?]|$)" .jwt.jwksUrl)) }}
- "auth.jwt.jwksUrl is not secure: set a URL of https, or auth.jwt.jwksAllowHttp=true if the network encrypts"
{{- end }}
{{- if and .jwt.jwksUrl (has "HS256" .jwt.algorithms) }}
- "HS256 in auth.jwt.algorithms requires a secret, which auth.jwt.jwksUrl cannot provide: set auth.jwt.keys.existingSecret instead"
{{- end }}
{{- end }}
{{- end }}
{{- end }}
