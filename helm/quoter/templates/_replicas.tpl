{{/*
The number of pods that Helm sets; empty if it sets none.

With autoscaling, the autoscaler sets the number. Helm leaves it out of the first install, and marks the Deployment with
the annotation `quoter/replicas: autoscaler`. If Helm has once set a number, because autoscaling was turned on later,
leaving it out would scale the Deployment to one pod: Helm then sets the number that the running Deployment has. A rollback
restores the number of its revision, which the autoscaler corrects; a Deployment with the annotation has none to restore.

`lookup` finds nothing where the chart is only rendered, as by `helm template` and Argo CD, which leaves the number out.
*/}}
{{- define "quoter.replicas" -}}
{{- if not .Values.autoscaling.enabled }}
{{- int .Values.replicaCount }}
{{- else }}
{{- $running := lookup "apps/v1" "Deployment" .Release.Namespace (include "quoter.fullname" .) }}
{{- if and $running (ne (dig "metadata" "annotations" "quoter/replicas" "" $running) "autoscaler") }}
{{- dig "spec" "replicas" 0 $running | int }}
{{- end }}
{{- end }}
{{- end }}
