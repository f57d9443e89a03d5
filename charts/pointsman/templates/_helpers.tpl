{{/* Name of every object: the release's own, or release-pointsman where that says more. */}}
{{- define "pointsman.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 30 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too, so that two installations don't meet. */}}
{{- define "pointsman.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "pointsman.fullname" .) -}}
{{- end -}}

{{/* What the Deployment selects by. Never changes: a Deployment's selector is immutable. */}}
{{- define "pointsman.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "pointsman.labels" -}}
{{ include "pointsman.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pointsman.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "pointsman.fullname" .) -}}
{{- end -}}

{{- define "pointsman.tag" -}}
{{- .Values.images.tag | default .Chart.AppVersion -}}
{{- end -}}

{{/* Takes (list $ "name" "whole reference or empty"). */}}
{{- define "pointsman.image" -}}
{{- $root := index . 0 -}}
{{- $default := printf "%s/%s:%s" $root.Values.images.registry (index . 1) (include "pointsman.tag" $root) -}}
{{- index . 2 | default $default | include "pointsman.fixed" -}}
{{- end -}}

{{/* The image as it was given, unless its tag moves. */}}
{{- define "pointsman.fixed" -}}
{{- if hasSuffix ":latest" . -}}
{{- fail (printf "image %s: the tag `latest` is refused, because which build runs must not depend on the day" .) -}}
{{- end -}}
{{- . -}}
{{- end -}}

{{/* What `{version}` in an engine image stands for. */}}
{{- define "pointsman.engineVersion" -}}
{{- $version := .Values.engine.version | default (include "pointsman.tag" .) -}}
{{- $_ := printf "engine:%s" $version | include "pointsman.fixed" -}}
{{- $version -}}
{{- end -}}

{{/* Engine image by accelerator resource, as JSON with sorted keys. */}}
{{- define "pointsman.engineImages" -}}
{{- $ours := dict
      "cpu" (printf "%s/engine-cpu:{version}" .Values.images.registry)
      "nvidia.com/gpu" (printf "%s/engine-cuda:{version}" .Values.images.registry) -}}
{{- range $image := .Values.images.engines }}{{ $_ := include "pointsman.fixed" $image }}{{ end -}}
{{- mergeOverwrite $ours .Values.images.engines | toJson -}}
{{- end -}}

{{/* Proxy variables of pods that fetch weights, as JSON with sorted keys. */}}
{{- define "pointsman.environment" -}}
{{- $all := dict "HTTPS_PROXY" .Values.proxy.https "HTTP_PROXY" .Values.proxy.http "NO_PROXY" .Values.proxy.none -}}
{{- $set := dict -}}
{{- range $name, $value := $all }}{{ if $value }}{{ $_ := set $set $name $value }}{{ end }}{{ end -}}
{{- $set | toJson -}}
{{- end -}}

{{/* One NetworkPolicy peer from {namespaceLabels, podLabels} or {cidr}. */}}
{{- define "pointsman.peer" -}}
{{- if .cidr -}}
ipBlock:
  cidr: {{ .cidr }}
{{- else -}}
namespaceSelector:
  {{- if .namespaceLabels }}
  matchLabels: {{- toYaml .namespaceLabels | nindent 4 }}
  {{- else }} {}
  {{- end }}
{{- with .podLabels }}
podSelector:
  matchLabels: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}
{{- end -}}
