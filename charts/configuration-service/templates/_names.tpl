{{/* Names and labels. The Service's name is what clients call, so it does not depend on the release's name. */}}

{{- define "name" -}}
{{- .Values.fullnameOverride | default .Chart.Name -}}
{{- end -}}

{{/* What selectors match; it may never change in the life of a release. */}}
{{- define "selector" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Of objects, not of pods: a new version of the chart alone must restart none. */}}
{{- define "labels" -}}
{{ include "labels.of" (dict "root" . "component" "server") }}
{{- end -}}

{{- define "labels.of" -}}
app.kubernetes.io/name: {{ include "name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
