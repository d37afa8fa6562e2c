{{/* The image: the registry of the parent chart or of this one, the repository, and the digest or the tag. */}}
{{- define "quoter.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- with $registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* The Secrets for pulling it: this chart's and the parent chart's, which may be names. */}}
{{- define "quoter.imagePullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets }}
{{- range .Values.global.imagePullSecrets }}
{{- $secrets = append $secrets (ternary . (dict "name" .) (kindIs "map" .)) }}
{{- end }}
{{- with uniq $secrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
