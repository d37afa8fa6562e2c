{{/* The registry in image.repository, by the rule of container runtimes: the first part, if it is a host. Empty if none. */}}
{{- define "quoter.repositoryRegistry" -}}
{{- regexFind "^(localhost|[^/]*[.:][^/]*)/" .Values.image.repository | trimSuffix "/" }}
{{- end }}

{{/* Whether image.registry names another registry than its default. */}}
{{- define "quoter.registryIsSet" -}}
{{- if not (has .Values.image.registry (list "" "localhost")) }}true{{ end }}
{{- end }}

{{/*
The image: the registry of the parent chart or of this one, the repository, and the digest or the tag. Unless image.registry
is set, a repository with a slash is a whole name, as it was before image.registry existed.
*/}}
{{- define "quoter.image" -}}
{{- $registry := .Values.image.registry }}
{{- $repository := .Values.image.repository }}
{{- if and (contains "/" $repository) (not (include "quoter.registryIsSet" .)) }}
{{- $registry = include "quoter.repositoryRegistry" . }}
{{- $repository = trimPrefix (printf "%s/" $registry) $repository }}
{{- end }}
{{- with default $registry .Values.global.imageRegistry }}{{ . }}/{{ end }}
{{- $repository }}
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
