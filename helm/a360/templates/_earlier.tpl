{{/*
The templates of checkpoints' workflows that this release made before, as a YAML list: all that a workflow still
names, and the newest `keepTemplates` of the others. They belong to the release again, so uninstall removes them.
Empty where there is no cluster to ask.
*/}}
{{- define "a360.earlierTemplates" -}}
{{- $current := include "a360.checkpointName" . }}
{{- $used := include "a360.usedTemplates" . | fromYamlArray }}
{{- $others := dict }}
{{- $kept := list }}
{{- range (index (include "a360.listOf" (dict "root" . "kind" "WorkflowTemplate") | fromJson) "items") }}
  {{- $owner := get (.metadata.annotations | default dict) "meta.helm.sh/release-name" }}
  {{- if and (hasPrefix "a360-checkpoint-" .metadata.name) (ne .metadata.name $current) (eq $owner $.Release.Name) }}
    {{- $metadata := dict "name" .metadata.name "namespace" .metadata.namespace "labels" (.metadata.labels | default dict) }}
    {{- $plain := dict "apiVersion" .apiVersion "kind" .kind "metadata" $metadata "spec" .spec }}
    {{- if has .metadata.name $used }}
      {{- $kept = append $kept $plain }}
    {{- else }}
      {{- $_ := set $others (printf "%s %s" .metadata.creationTimestamp .metadata.name) $plain }}
    {{- end }}
  {{- end }}
{{- end }}
{{- range $number, $key := keys $others | sortAlpha | reverse }}
  {{- if lt $number (int $.Values.keepTemplates) }}{{ $kept = append $kept (get $others $key) }}{{ end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}

{{/* The names of templates that workflows mention which have not ended, as a YAML list. */}}
{{- define "a360.usedTemplates" -}}
{{- $used := list }}
{{- range (index (include "a360.listOf" (dict "root" . "kind" "Workflow") | fromJson) "items") }}
  {{- if ne (get (.metadata.labels | default dict) "workflows.argoproj.io/completed") "true" }}
    {{- $used = concat $used (regexFindAll "a360-checkpoint-[a-z0-9-]+" (toJson .) -1) }}
  {{- end }}
{{- end }}
{{- toYaml (uniq $used) }}
{{- end }}

{{/*
The list of all objects of one of Argo's kinds in the namespace, as JSON: (dict "root" $ "kind" "Workflow"). It has
no items, not even none, where there is no cluster to ask; a cluster without Argo is not asked, which
would be an error before a360.requireArgo could say what to do.
*/}}
{{- define "a360.listOf" -}}
{{- if .root.Capabilities.APIVersions.Has "argoproj.io/v1alpha1" }}
{{- lookup "argoproj.io/v1alpha1" .kind .root.Release.Namespace "" | toJson }}
{{- else -}}
{}
{{- end }}
{{- end }}
