{{/* A name of its own, so that no Service and no policy selects the pod that migrates. */}}
{{- define "quoter.migrateSelectorLabels" -}}
app.kubernetes.io/name: {{ include "quoter.name" . }}-migrate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of that pod. They have not the chart's version: a new chart alone is no reason for another Job. */}}
{{- define "quoter.migratePodLabels" -}}
{{ include "quoter.migrateSelectorLabels" . }}
{{- include "quoter.userLabels" (dict "labels" .Values.database.migrate.podLabels "context" .) }}
{{- end }}

{{/* The labels of the Job. */}}
{{- define "quoter.migrateLabels" -}}
{{ include "quoter.migrateSelectorLabels" . }}
{{ include "quoter.chartLabels" . }}
{{- include "quoter.userLabels" (dict "labels" dict "context" .) }}
{{- end }}

{{/* The Secret with the role that migrates. */}}
{{- define "quoter.migrateSecret" -}}
{{- default .Values.database.existingSecret .Values.database.migrate.existingSecret }}
{{- end }}

{{/* The container that applies the migrations, as a list of one, without its mounts. */}}
{{- define "quoter.migrateContainer" -}}
- name: migrate
  image: {{ include "quoter.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: ["migrate"]
  env:
    {{- include "quoter.databaseEnv" . | trim | nindent 4 }}
    - name: APP_DATABASE_CONNECT_TIMEOUT
      value: {{ .Values.database.connectTimeoutSeconds | quote }}
  # `kubectl describe pod` shows why it failed.
  terminationMessagePolicy: FallbackToLogsOnError
  {{- with .Values.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The specification of the Job. It runs before the objects of the chart exist, and so needs none of them. */}}
{{- define "quoter.migrateSpec" -}}
{{- $mounts := include "quoter.databaseMounts" (dict "secret" (include "quoter.migrateSecret" .) "context" .) | fromYamlArray }}
{{- with .Values.database.migrate }}
backoffLimit: {{ int .backoffLimit }}
activeDeadlineSeconds: {{ int64 .activeDeadlineSeconds }}
ttlSecondsAfterFinished: {{ int64 .ttlSecondsAfterFinished }}
{{- end }}
# The status of invalid settings, which another attempt does not change.
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: migrate
        operator: In
        values: [2]
template:
  metadata:
    labels:
      {{- include "quoter.migratePodLabels" . | nindent 6 }}
    {{- with .Values.database.migrate.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    {{- if not .Values.serviceAccount.create }}
    serviceAccountName: {{ include "quoter.serviceAccount" . }}
    {{- end }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with include "quoter.imagePullSecrets" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with include "quoter.podValues" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    {{- /* Affinity to pods spreads the server's pods, and might leave no node for this one. */}}
    {{- with .Values.affinity.nodeAffinity }}
    affinity:
      nodeAffinity:
        {{- toYaml . | nindent 8 }}
    {{- end }}
    {{- with .Values.podSecurityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      {{- include "quoter.migrateContainer" . | nindent 6 }}
        volumeMounts:
          {{- range $mounts }}
          - name: {{ .name }}
            mountPath: {{ .path }}
            readOnly: true
          {{- end }}
    volumes:
      {{- range $mounts }}
      - name: {{ .name }}
        {{- toYaml .volume | nindent 8 }}
      {{- end }}
{{- end }}
