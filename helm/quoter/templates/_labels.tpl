{{/* The labels by which Services, policies and monitors select the server's pods. */}}
{{- define "quoter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "quoter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* A name of its own, so that no Service and no policy selects the pod of `helm test`. */}}
{{- define "quoter.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "quoter.name" . | trunc 49 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The chart's labels, which commonLabels and podLabels cannot replace. */}}
{{- define "quoter.chartLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels of the user's, without those of the chart. Takes `labels` and `context`. */}}
{{- define "quoter.userLabels" -}}
{{- $own := concat (keys (include "quoter.chartLabels" .context | fromYaml)) (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") }}
{{- range $name, $value := .labels }}
{{- if not (has $name $own) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The labels of every object except the pods. */}}
{{- define "quoter.labels" -}}
{{ include "quoter.selectorLabels" . }}
{{ include "quoter.chartLabels" . }}
{{- include "quoter.userLabels" (dict "labels" .Values.commonLabels "context" .) }}
{{- end }}

{{/* The labels of the server's pods. They have not the chart's version: a new chart alone is no reason to replace pods. */}}
{{- define "quoter.podLabels" -}}
{{ include "quoter.selectorLabels" . }}
{{- include "quoter.userLabels" (dict "labels" (merge (deepCopy .Values.podLabels) .Values.commonLabels) "context" .) }}
{{- end }}

{{/* The labels of the pod of `helm test`. */}}
{{- define "quoter.testLabels" -}}
{{ include "quoter.testSelectorLabels" . }}
{{ include "quoter.chartLabels" . }}
{{- include "quoter.userLabels" (dict "labels" .Values.commonLabels "context" .) }}
{{- end }}
