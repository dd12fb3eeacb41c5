{{/*
What would only show after the install, when pods do not start, is refused here, with the way out.
*/}}

{{/* Everything that is checked before anything is rendered. */}}
{{- define "a360.checks" -}}
{{- include "a360.requireArgo" . }}
{{- include "a360.requireSuites" . }}
{{- include "a360.requireWaysOut" . }}
{{- include "a360.requireTime" . }}
{{- include "a360.requireArtifacts" . }}
{{- include "a360.requireOptional" . }}
{{- include "a360.requireSecrets" . }}
{{- include "a360.requirePriority" . }}
{{- end }}

{{- define "a360.requireArgo" -}}
{{- if and .Values.checks.argo (not (.Capabilities.APIVersions.Has "argoproj.io/v1alpha1")) }}
{{- fail `

This cluster does not know Argo's kinds (argoproj.io/v1alpha1): Argo Workflows is not installed.

    helm repo add argo https://argoproj.github.io/argo-helm
    helm upgrade --install argo-workflows argo/argo-workflows --version 1.0.18 \
      --namespace argo --create-namespace --values helm/argo-values.yaml

and then install a360 again. For "helm template", which asks no cluster: --api-versions argoproj.io/v1alpha1,
or --set checks.argo=false.` }}
{{- end }}
{{- end }}

{{/* A suite is called what its key says, and every schedule names one; Argo allows 52 characters for a schedule. */}}
{{- define "a360.requireSuites" -}}
{{- range $name, $text := .Values.suites }}
  {{- $suite := fromYaml $text }}
  {{- if hasKey $suite "Error" }}
    {{- fail (printf "suites.%s is no YAML: %s" $name $suite.Error) }}
  {{- end }}
  {{- if ne (toString $suite.name) $name }}
    {{- fail (printf "suites.%s: its text says \"name: %v\", expected the key and the name to be the same" $name ($suite.name | default "(nothing)")) }}
  {{- end }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.schedules.suites }}
  {{- if not (hasKey $.Values.suites .suite) }}
    {{- fail (printf "schedules.suites names the suite %q, which suites does not have: it has %s" .suite (keys $.Values.suites | sortAlpha | join ", " | default "none")) }}
  {{- end }}
  {{- if hasKey $seen .suite }}
    {{- fail (printf "schedules.suites names the suite %q twice; one entry may have several lines" .suite) }}
  {{- end }}
  {{- $_ := set $seen .suite true }}
  {{- if gt (len .suite) 24 }}
    {{- fail (printf "schedules.suites: the suite's name %q has %d characters, expected at most 24: a sweep is named after it and its time, and its checkpoints' workflows after the sweep" .suite (len .suite)) }}
  {{- end }}
{{- end }}
{{- end }}

{{/* With default deny, a suite whose store no pod may reach would only be seen as a time-out. */}}
{{- define "a360.requireWaysOut" -}}
{{- with .Values.networkPolicies }}
{{- if and .enabled $.Values.suites }}
  {{- if not .s3.to }}
    {{- fail `networkPolicies.s3.to is empty: no pod could reach the object store.
Name its addresses:    --set networkPolicies.s3.to[0].ipBlock.cidr=10.0.0.1/32
or switch them off:    --set networkPolicies.enabled=false` }}
  {{- end }}
  {{- if not (include "a360.apiServer" $ | fromYaml).to }}
    {{- fail `networkPolicies.apiServer.to is empty and there is no cluster to ask for its API server: Argo's containers could report nothing.
Name its addresses:    --set networkPolicies.apiServer.to[0].ipBlock.cidr=10.96.0.1/32
or switch them off:    --set networkPolicies.enabled=false` }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A pod that waits for a workflow must be allowed to wait as long as that may take. */}}
{{- define "a360.requireTime" -}}
{{- if le (int64 .Values.pods.orchestrate.deadlineSeconds) (int64 .Values.lifetimes.checkpointSeconds) }}
  {{- fail (printf "pods.orchestrate.deadlineSeconds is %d, expected more than lifetimes.checkpointSeconds, which is %d" (int64 .Values.pods.orchestrate.deadlineSeconds) (int64 .Values.lifetimes.checkpointSeconds)) }}
{{- end }}
{{- end }}

{{/* The workflow of a checkpoint ends at once when it names a place for artifacts that is not there. */}}
{{- define "a360.requireArtifacts" -}}
{{- with .Values.artifacts }}
{{- if and .create .configMap $.Values.suites (not (include "a360.artifactPlace" $ | fromYaml).bucket) }}
  {{- fail "artifacts.bucket is empty and no suite has a store on S3 to take it from: name a bucket, or set artifacts.create=false for a ConfigMap of your own, or an empty artifacts.configMap for the default repository of Argo's controller" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Kinds of others that a value asks for. */}}
{{- define "a360.requireOptional" -}}
{{- $local := .Values.kueue.localQueue }}
{{- if and $local.create (not .Values.accelerator.queue) }}
  {{- fail "kueue.localQueue.create is true and accelerator.queue is empty: the queue has no name" }}
{{- end }}
{{- if and $local.create (not $local.clusterQueue) }}
  {{- fail "kueue.localQueue.clusterQueue is empty: name the ClusterQueue that the queue draws from, or set kueue.localQueue.create=false for a queue that is there" }}
{{- end }}
{{- if and .Values.accelerator.queue (not (include "a360.kueueApi" .)) }}
  {{- fail "accelerator.queue is set and this cluster does not know Kueue's kinds (kueue.x-k8s.io): install Kueue, or leave the queue empty; for \"helm template\": --api-versions kueue.x-k8s.io/v1beta1" }}
{{- end }}
{{- if and .Values.monitoring.prometheusRule.create (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}
  {{- fail "monitoring.prometheusRule.create is true and this cluster does not know PrometheusRule (monitoring.coreos.com/v1): install the Prometheus operator, or set it to false; for \"helm template\": --api-versions monitoring.coreos.com/v1" }}
{{- end }}
{{- end }}

{{/* The API of the Kueue that is installed, or nothing. */}}
{{- define "a360.kueueApi" -}}
{{- if .Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta2" -}}
kueue.x-k8s.io/v1beta2
{{- else if .Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta1" -}}
kueue.x-k8s.io/v1beta1
{{- end }}
{{- end }}

{{/*
The credentials of the store, the place for artifacts and the queue of the devices: pods that lack them only wait. Whether there is a
cluster to ask shows in the list of templates, which has no items, not even none, without one.
*/}}
{{- define "a360.requireSecrets" -}}
{{- if and .Values.checks.secrets .Values.suites (include "a360.hasCluster" .) }}
  {{- with .Values.s3.existingSecret }}
    {{- $secret := lookup "v1" "Secret" $.Release.Namespace . }}
    {{- $keys := keys ($secret.data | default dict) | sortAlpha }}
    {{- range values $.Values.s3.keys | sortAlpha }}
      {{- if not (has . $keys) }}
        {{- $found := "is not there" }}
        {{- if $secret }}{{ $found = printf "has no key %q, it has: %s" . (join ", " $keys | default "none") }}{{ end }}
        {{- fail (printf "s3.existingSecret: the Secret %q of the namespace %q %s\n\n    kubectl --namespace %s create secret generic %s%s\n\nmakes it. With workload identity leave s3.existingSecret empty; checks.secrets=false does not look."
              $.Values.s3.existingSecret $.Release.Namespace $found $.Release.Namespace $.Values.s3.existingSecret (include "a360.literals" (values $.Values.s3.keys))) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- $artifacts := .Values.artifacts }}
  {{- if and $artifacts.configMap (not $artifacts.create) (not (lookup "v1" "ConfigMap" .Release.Namespace $artifacts.configMap)) }}
    {{- fail (printf "artifacts.configMap: there is no ConfigMap %q in the namespace %q; create it, or set artifacts.create=true" $artifacts.configMap .Release.Namespace) }}
  {{- end }}
  {{- $queue := .Values.accelerator.queue }}
  {{- if and $queue (not .Values.kueue.localQueue.create) (not (lookup (include "a360.kueueApi" .) "LocalQueue" .Release.Namespace $queue)) }}
    {{- fail (printf "accelerator.queue: there is no LocalQueue %q in the namespace %q; create it, or set kueue.localQueue.create=true" $queue .Release.Namespace) }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Kubernetes lets nobody change what a PriorityClass says, and pods of running sweeps name it. */}}
{{- define "a360.requirePriority" -}}
{{- $wanted := .Values.priorityClass }}
{{- if and $wanted.create (include "a360.hasCluster" .) }}
  {{- with lookup "scheduling.k8s.io/v1" "PriorityClass" "" $wanted.name }}
    {{- $policy := .preemptionPolicy | default "PreemptLowerPriority" }}
    {{- if or (ne (int .value) (int $wanted.value)) (ne $policy $wanted.preemptionPolicy) }}
      {{- fail (printf "priorityClass: the PriorityClass %q has the value %d and the policy %s, which cannot be changed; give the new one another name" $wanted.name (int .value) $policy) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "a360.literals" -}}
{{- range sortAlpha . }} --from-literal={{ . }}=…{{ end }}
{{- end }}

{{/* Not empty where lookup asks a cluster. */}}
{{- define "a360.hasCluster" -}}
{{- if hasKey (include "a360.listOf" (dict "root" . "kind" "WorkflowTemplate") | fromJson) "items" }}yes{{ end }}
{{- end }}
