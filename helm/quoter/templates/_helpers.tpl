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

{{/* What selects the metrics of this release. */}}
{{- define "quoter.ruleSelector" -}}
namespace="{{ .Release.Namespace }}",job="{{ default (include "quoter.fullname" .) .Values.prometheusRule.job }}"
{{- end }}

{{/*
Values of the server's pods and of that of `helm test`, which have them under the same name: where a pod can run, and how it
resolves names.
*/}}
{{- define "quoter.podValues" -}}
{{- range $name := list "nodeSelector" "tolerations" "runtimeClassName" "dnsPolicy" "dnsConfig" "hostAliases" }}
{{- with index $.Values $name }}
{{ toYaml (dict $name .) }}
{{- end }}
{{- end }}
{{- end }}
