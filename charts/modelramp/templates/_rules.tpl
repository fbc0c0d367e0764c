{{/*
What the operator does in a namespace it works in: the whole list, each verb used. Granted by one ClusterRole, or by a
Role in each of watchNamespaces.
*/}}
{{- define "modelramp.rules" -}}
- apiGroups: [modelramp.io]
  resources: [mlmodeldeployments]
  verbs: [get, list, watch{{ if .Values.routers.routeRef }}, patch{{ end }}]
- apiGroups: [modelramp.io]
  resources: [mlmodeldeployments/status]
  verbs: [patch]
# What it creates is owned by the object with blockOwnerDeletion, which needs this where that admission check is on.
- apiGroups: [modelramp.io]
  resources: [mlmodeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes{{ if .Values.routers.grpcRoute }}, grpcroutes{{ end }}]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.routers.istio }}
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.warmUp.configMaps.enabled }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end }}
{{- if .Values.serving.config.enabled }}
# Copies of the ConfigMaps that spec.serving.config names.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, delete]
{{- end }}
{{- with .Values.prometheus.configMapNames }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- with .Values.prometheus.secretNames }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- end }}
