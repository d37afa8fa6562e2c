{{/* Two registries. */}}
{{- define "quoter.check.image" }}
{{- $own := include "quoter.repositoryRegistry" . }}
{{- if and $own (include "quoter.registryIsSet" .) }}
- {{ printf "image.registry (%s) and the registry in image.repository (%s) conflict: set image.repository=%s, or leave image.registry out" .Values.image.registry $own (trimPrefix (printf "%s/" $own) .Values.image.repository) | quote }}
{{- end }}
{{- end }}
