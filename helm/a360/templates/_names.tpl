{{/*
Names and labels. Every object has a fixed name: the command line, the templates and the policies refer to
each other by it, so a namespace holds one release.
*/}}

{{- define "a360.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: a360
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: a360
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The metadata of an object: (dict "root" $ "name" "a360-…" ["annotations" {}]). */}}
{{- define "a360.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "a360.labels" .root | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The service account of a kind of pod: (dict "root" $ "component" "planner"). No main container gets its token. */}}
{{- define "a360.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- $own := get .root.Values.serviceAccounts .component | default dict }}
  {{- include "a360.metadata" (dict "root" .root "name" (printf "a360-%s" .component) "annotations" $own.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A role and the accounts that have it: (dict "root" $ "role" "a360-executor" "accounts" (list "executor")). */}}
{{- define "a360.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "a360.metadata" (dict "root" .root "name" .role) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .role }}
subjects:
  {{- range .accounts }}
  - kind: ServiceAccount
    name: a360-{{ . }}
    namespace: {{ $.root.Release.Namespace }}
  {{- end }}
{{- end }}
