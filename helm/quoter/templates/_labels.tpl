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

{{/* The chart's labels, which the user's cannot replace. */}}
{{- define "quoter.chartLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/*
Labels of the user's: `labels` of one object, and commonLabels, which they take precedence over; without those of the chart.
Takes `labels` and `context`.
*/}}
{{- define "quoter.userLabels" -}}
{{- $own := concat (keys (include "quoter.chartLabels" .context | fromYaml)) (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") }}
{{- $labels := dict }}
{{- range $name, $value := merge (deepCopy .labels) .context.Values.commonLabels }}
{{- if not (has $name $own) }}
{{- $_ := set $labels $name $value }}
{{- end }}
{{- end }}
{{- with $labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels of every object except the pods. */}}
{{- define "quoter.labels" -}}
{{ include "quoter.monitorLabels" (dict "labels" dict "context" .) }}
{{- end }}

{{/* The labels of a monitor. Takes `labels`, which it has in addition to those of every object, and `context`. */}}
{{- define "quoter.monitorLabels" -}}
{{ include "quoter.selectorLabels" .context }}
{{ include "quoter.chartLabels" .context }}
{{- include "quoter.userLabels" . }}
{{- end }}

{{/* The labels of the server's pods. They have not the chart's version: a new chart alone is no reason to replace pods. */}}
{{- define "quoter.podLabels" -}}
{{ include "quoter.selectorLabels" . }}
{{- include "quoter.userLabels" (dict "labels" .Values.podLabels "context" .) }}
{{- end }}

{{/* The labels of the pod of `helm test`. */}}
{{- define "quoter.testLabels" -}}
{{ include "quoter.testSelectorLabels" . }}
{{ include "quoter.chartLabels" . }}
{{- include "quoter.userLabels" (dict "labels" dict "context" .) }}
{{- end }}
