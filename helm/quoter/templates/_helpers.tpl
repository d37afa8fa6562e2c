{{- define "quoter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 54 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects, of at most 54 characters, so that a suffix fits into Kubernetes' 63. */}}
{{- define "quoter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 54 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "quoter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "quoter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every object except the pods. */}}
{{- define "quoter.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "quoter.labels" -}}
{{ include "quoter.selectorLabels" . }}
{{ include "quoter.commonLabels" . }}
{{- end }}

{{/* A name of its own, so that no Service and no policy selects the pod of `helm test`. */}}
{{- define "quoter.testLabels" -}}
app.kubernetes.io/name: {{ include "quoter.name" . | trunc 49 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "quoter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "quoter.serviceAccount" -}}
{{- default (ternary (include "quoter.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* The Secret with the tokens: the chart's, or the one that the values name. */}}
{{- define "quoter.tokenSecret" -}}
{{- default (printf "%s-token" (include "quoter.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{/* The Secret with the certificate: cert-manager's, or the one that the values name. */}}
{{- define "quoter.tlsSecret" -}}
{{- default (printf "%s-tls" (include "quoter.fullname" .)) .Values.tls.existingSecret }}
{{- end }}

{{/* The port of a URL. The default is 80 for http, 443 for https, and always 443 for gRPC. */}}
{{- define "quoter.port" -}}
{{- $port := regexFind ":[0-9]+$" (urlParse .url).host | trimPrefix ":" }}
{{- default (ternary "80" "443" (and (hasPrefix "http://" .url) (not .grpc))) $port }}
{{- end }}

{{- define "quoter.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{- define "quoter.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}
