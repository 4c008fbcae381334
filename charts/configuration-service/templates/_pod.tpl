{{/* What the pods of the Deployment and those of the jobs have in common: environment, files and who they run as. */}}

{{/* Secrets are files, which the program reads again when they change, so that a rotated one restarts no pod. */}}
{{- define "environment" -}}
{{- $v := .Values -}}
- name: STORE_URL
  value: {{ include "store.url" . | quote }}
{{- if hasPrefix "s3:" (include "store.url" .) }}
- name: AWS_ACCESS_KEY_ID_FILE
  value: /run/secrets/store/accessKeyId
- name: AWS_SECRET_ACCESS_KEY_FILE
  value: /run/secrets/store/secretAccessKey
{{- if and $v.store.sessionToken (not $v.trial.bucket.enabled) }}
- name: AWS_SESSION_TOKEN_FILE
  value: /run/secrets/store/sessionToken
{{- end }}
{{- end }}
{{- if $v.trial.redis.enabled }}
- name: REDIS_URL
  value: redis://{{ include "name" . }}-redis:6379
{{- else if $v.redis.existingSecret }}
- name: REDIS_URL_FILE
  value: /run/secrets/redis/url
{{- end }}
{{- range $name, $value := $v.settings }}
- name: {{ $name }}
  value: {{ (kindIs "float64" $value | ternary (printf "%v" ($value | int64)) (printf "%v" $value)) | quote }}
{{- end }}
- name: CACHE_DIR
  value: /cache
- name: CACHE_MAX_BYTES
  value: {{ printf "%dMiB" (int $v.cacheMiB) }}
- name: REQUEST_TIMEOUT_SECONDS
  value: {{ $v.drain.requestSeconds | quote }}
- name: NODE_OPTIONS
  value: --max-old-space-size={{ div (mul 3 (int $v.memoryMiB)) 8 }} --max-semi-space-size=8
{{- end -}}

{{- define "store.url" -}}
{{- if .Values.trial.bucket.enabled -}}
s3://configuration-service?endpoint=http://{{ include "name" . }}-bucket:7070&region=us-east-1
{{- else -}}
{{ .Values.store.url }}
{{- end -}}
{{- end -}}

{{- define "store.secret" -}}
{{- if .Values.trial.bucket.enabled -}}
{{ include "name" . }}-bucket
{{- else -}}
{{ .Values.store.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "mounts" -}}
- name: cache
  mountPath: /cache
{{- if hasPrefix "s3:" (include "store.url" .) }}
- name: store
  mountPath: /run/secrets/store
  readOnly: true
{{- else }}
- name: data
  mountPath: /data
{{- end }}
{{- if .Values.redis.existingSecret }}
- name: redis
  mountPath: /run/secrets/redis
  readOnly: true
{{- end }}
{{- end -}}

{{- define "volumes" -}}
- name: cache
  emptyDir:
    # The program keeps within cacheMiB; beyond this limit the kubelet would evict the pod.
    sizeLimit: {{ printf "%dMi" (mul 2 (int .Values.cacheMiB)) }}
{{- if hasPrefix "s3:" (include "store.url" .) }}
- name: store
  secret:
    secretName: {{ include "store.secret" . }}
    defaultMode: 0440
{{- else }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.store.existingClaim }}
{{- end }}
{{- if .Values.redis.existingSecret }}
- name: redis
  secret:
    secretName: {{ .Values.redis.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "resources" -}}
requests:
  cpu: {{ .Values.cpuRequest }}
  memory: {{ .Values.memoryMiB }}Mi
limits:
  memory: {{ .Values.memoryMiB }}Mi
{{- end -}}

{{/* The profile "restricted" of the pod security standards. */}}
{{- define "security.pod" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "security.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "placing" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
