{{- define "modelramp.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "modelramp.fullname" -}}
{{- $name := include "modelramp.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "modelramp.selectorLabels" -}}
app.kubernetes.io/name: {{ include "modelramp.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelramp.labels" -}}
{{ include "modelramp.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: modelramp
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "modelramp.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "modelramp.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "modelramp.leaseName" -}}
{{- default (include "modelramp.fullname" .) .Values.leaseName }}
{{- end }}

{{- define "modelramp.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "modelramp.subjects" -}}
- kind: ServiceAccount
  name: {{ include "modelramp.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The routers that are switched on, by commas. */}}
{{- define "modelramp.routers" -}}
{{- $on := list -}}
{{- range $name, $enabled := .Values.routers }}{{ if $enabled }}{{ $on = append $on $name }}{{ end }}{{ end -}}
{{- join "," $on -}}
{{- end }}
