{{/* What values.schema.json cannot say because it takes several values: each refusal names the values and the remedy. */}}

{{- define "refuse" -}}
{{- $v := .Values -}}
{{- $drain := $v.drain -}}
{{- $isFile := and (hasPrefix "file:" $v.store.url) (not $v.trial.bucket.enabled) -}}
{{- if not (or $v.trial.bucket.enabled (regexMatch "^(s3://[^@]+|file:/.+)$" $v.store.url)) -}}
  {{- fail (printf "store.url is %q: it must be s3://<bucket>[/<prefix>], or file:/data/store" $v.store.url) -}}
{{- end -}}
{{- if and $isFile (or (gt (int $v.replicaCount) 1) $v.autoscaling.enabled) -}}
  {{- fail (printf "store.url is %s, a folder that one pod has to itself: set replicaCount to 1 and autoscaling.enabled to false, or name a bucket (s3://…)" $v.store.url) -}}
{{- end -}}
{{- if and $isFile (not $v.store.existingClaim) -}}
  {{- fail (printf "store.url is %s, and without store.existingClaim everything in it would go with its pod: name a PersistentVolumeClaim, or a bucket (s3://…)" $v.store.url) -}}
{{- end -}}
{{- if and $isFile (ne $v.store.url "file:/data/store") -}}
  {{- fail (printf "store.url is %s, but store.existingClaim is mounted at /data: set store.url to file:/data/store" $v.store.url) -}}
{{- end -}}
{{- if and (not $isFile) (not $v.trial.bucket.enabled) (not $v.store.existingSecret) -}}
  {{- fail "store.existingSecret is empty: name the Secret that holds accessKeyId and secretAccessKey of the bucket, or set trial.bucket.enabled to try it with a bucket of its own" -}}
{{- end -}}
{{- if and $v.redis.existingSecret $v.trial.redis.enabled -}}
  {{- fail "redis.existingSecret and trial.redis.enabled are both set: unset one" -}}
{{- end -}}
{{- if and $v.trial.bucket.enabled $v.store.existingClaim -}}
  {{- fail "store.existingClaim and trial.bucket.enabled are both set: the claim of the bucket for trying it is trial.bucket.existingClaim" -}}
{{- end -}}
{{- $sum := int (include "drain.sum" .) -}}
{{- if and $drain.graceSeconds (lt (int $drain.graceSeconds) $sum) -}}
  {{- fail (printf "drain.graceSeconds is %d, but preStopSeconds + acceptWindowSeconds + requestSeconds + marginSeconds are %d: a request would be cut; leave it at 0 to have the sum" (int $drain.graceSeconds) $sum) -}}
{{- end -}}
{{- $needed := add 5 (div (add 1 (int $drain.acceptWindowSeconds)) 2) -}}
{{- if lt (int $drain.marginSeconds) (int $needed) -}}
  {{- fail (printf "drain.marginSeconds is %d, but after the longest request the program itself waits for half of the accept window and needs 5 s to leave: set it to %d or more" (int $drain.marginSeconds) $needed) -}}
{{- end -}}
{{- if not (regexMatch "^([1-9][0-9]*)?$" (toString $v.migrations.to)) -}}
  {{- fail (printf "migrations.to is %q: it must be the number of a format, or empty" (toString $v.migrations.to)) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
  {{- fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, which is %d" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if has (include "name" .) $v.service.aliases -}}
  {{- fail (printf "service.aliases names %s, which is the Service's own name: take it out" (include "name" .)) -}}
{{- end -}}
{{- end -}}

{{- define "drain.sum" -}}
{{- with .Values.drain -}}
{{- add (int .preStopSeconds) (int .acceptWindowSeconds) (int .requestSeconds) (int .marginSeconds) -}}
{{- end -}}
{{- end -}}

{{- define "grace" -}}
{{ .Values.drain.graceSeconds | default (include "drain.sum" .) }}
{{- end -}}
