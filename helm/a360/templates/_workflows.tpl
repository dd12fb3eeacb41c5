{{/*
Hera's documents in files/, changed where values say so. They are read as data, changed as data and written as
data: nothing in them is evaluated, so Argo's braces stay what they are. Only three texts are
changed as texts, because they are texts in Argo too: podSpecPatch, the expression of a retry, and the manifest
of a child.

`include` returns text, but maps are shared: the templates named "a360.set…" change the map they are given.
*/}}

{{/* One WorkflowTemplate of files/: (dict "root" $ "file" "sweep"). */}}
{{- define "a360.workflowTemplate" -}}
{{- $object := .root.Files.Get (printf "files/%s.yaml" .file) | fromYaml }}
{{- $spec := include "a360.spec" . | fromYaml }}
{{- $name := $object.metadata.name }}
{{- if eq .file "checkpoint" }}{{ $name = include "a360.checkpointName" .root }}{{ end }}
{{- $labels := merge (include "a360.labels" .root | fromYaml) $object.metadata.labels .root.Values.labels }}
{{- $metadata := dict "name" $name "namespace" .root.Release.Namespace "labels" $labels }}
{{- toYaml (dict "apiVersion" $object.apiVersion "kind" $object.kind "metadata" $metadata "spec" $spec) }}
{{- end }}

{{/*
The name of the template of a checkpoint's workflow: a sweep finds it by this name as long as it runs, so
another content has another name.
*/}}
{{- define "a360.checkpointName" -}}
{{- $spec := include "a360.spec" (dict "root" . "file" "checkpoint") | fromYaml }}
{{- printf "a360-checkpoint-%s-%s" (regexReplaceAll "[^a-z0-9]+" (lower .Chart.Version) "-") (toJson $spec | sha256sum | trunc 8) }}
{{- end }}

{{/* The changed spec of a file: (dict "root" $ "file" "sweep"). */}}
{{- define "a360.spec" -}}
{{- $object := .root.Files.Get (printf "files/%s.yaml" .file) | fromYaml }}
{{- if not $object.spec }}{{ fail (printf "files/%s.yaml is not there or no workflow" .file) }}{{ end }}
{{- $spec := $object.spec }}
{{- $_ := include "a360.setSpec" (dict "values" .root.Values "spec" $spec "file" .file) }}
{{- if eq .file "sweep" }}
  {{- range $spec.arguments.parameters }}
    {{- if eq .name "checkpoint-template" }}{{ $_ := set . "value" (include "a360.checkpointName" $.root) }}{{ end }}
  {{- end }}
{{- end }}
{{- range $spec.templates }}
  {{- $_ := include "a360.setTemplate" (dict "values" $.root.Values "template" .) }}
{{- end }}
{{- toYaml $spec }}
{{- end }}

{{/* What is said once for a workflow. */}}
{{- define "a360.setSpec" -}}
{{- $spec := .spec }}
{{- with .values }}
  {{- $_ := include "a360.setOrUnset" (dict "map" $spec "key" "imagePullSecrets" "value" (include "a360.pullSecrets" .images | fromYamlArray)) }}
  {{- range list "fsGroup" "runAsGroup" "runAsUser" }}
    {{- $_ := set $spec.securityContext . (int64 $.values.userId) }}
  {{- end }}
  {{- $_ := set $spec "podGC" (dict "strategy" .lifetimes.podGC "deleteDelayDuration" .lifetimes.podGCDelay) }}
  {{- $_ := set $spec "ttlStrategy" (dict "secondsAfterSuccess" (int64 .lifetimes.afterSuccessSeconds) "secondsAfterFailure" (int64 .lifetimes.afterFailureSeconds)) }}
  {{- if eq $.file "checkpoint" }}
    {{- $_ := set $spec "activeDeadlineSeconds" (int64 .lifetimes.checkpointSeconds) }}
    {{- $place := empty .artifacts.configMap | ternary dict (dict "configMap" .artifacts.configMap "key" .artifacts.key) }}
    {{- $_ := include "a360.setOrUnset" (dict "map" $spec "key" "artifactRepositoryRef" "value" $place) }}
  {{- else if eq $.file "sweep" }}
    {{- $_ := include "a360.setOrUnset" (dict "map" $spec "key" "activeDeadlineSeconds" "value" (int64 .lifetimes.sweepSeconds)) }}
  {{- end }}
  {{- if not .metrics }}{{ $_ := unset $spec "metrics" }}{{ end }}
  {{- $_ := set $spec.workflowMetadata "labels" (merge (dict) $spec.workflowMetadata.labels .labels) }}
{{- end }}
{{- end }}

{{/* What is said for one template: a group of steps, a pod that works, or a pod that waits for a child. */}}
{{- define "a360.setTemplate" -}}
{{- $template := .template }}
{{- $values := .values }}
{{- if hasKey $template "parallelism" }}{{ $_ := set $template "parallelism" (int64 $values.parallelism) }}{{ end }}
{{- if or $template.container $template.resource }}
  {{- $kind := include "a360.podKind" $template.name }}
  {{- $pod := index $values.pods $kind }}
  {{- $_ := include "a360.setPod" (dict "values" $values "template" $template "pod" $pod) }}
  {{- if not $values.metrics }}{{ $_ := unset $template "metrics" }}{{ end }}
  {{- if $template.container }}
    {{- $_ := include "a360.setContainer" (dict "values" $values "container" $template.container "pod" $pod) }}
    {{- $_ := include "a360.setRetry" (dict "strategy" $template.retryStrategy "retry" $values.retries.pods "oom" $values.retries.oom) }}
    {{- range $template.volumes }}
      {{- if eq .name "work" }}{{ $_ := set .emptyDir "sizeLimit" $pod.scratch }}{{ end }}
    {{- end }}
  {{- else }}
    {{- $_ := include "a360.setRetry" (dict "strategy" $template.retryStrategy "retry" $values.retries.children "oom" $values.retries.oom) }}
    {{- $_ := include "a360.setManifest" (dict "resource" $template.resource "labels" $values.labels) }}
  {{- end }}
  {{- if eq $kind "evaluate" }}{{ $_ := include "a360.setEvaluate" (dict "values" $values "template" $template) }}{{ end }}
{{- end }}
{{- end }}

{{/* The key below `pods` for a template's name. One that is not here must not slip through unchanged. */}}
{{- define "a360.podKind" -}}
{{- $kinds := dict "plan" "plan" "evaluate" "evaluate" "grade-code-fetch" "transfer" "grade-code-commit" "transfer"
      "grade-code-run" "sandbox" "grade-classifier" "classifier" "grade-judge" "judge" "publish" "publish"
      "mirror" "mirror" "run-checkpoint" "orchestrate" }}
{{- if not (hasKey $kinds .) }}{{ fail (printf "no value below pods is for the template %q of files/" .) }}{{ end }}
{{- get $kinds . }}
{{- end }}

{{/* Where a pod runs and how long, its labels, and its podSpecPatch. */}}
{{- define "a360.setPod" -}}
{{- $template := .template }}
{{- with .pod }}
  {{- $_ := set $template "activeDeadlineSeconds" (int64 .deadlineSeconds) }}
  {{- range $key, $value := dict "nodeSelector" .nodeSelector "tolerations" .tolerations "priorityClassName" .priorityClass }}
    {{- $_ := include "a360.setOrUnset" (dict "map" $template "key" $key "value" $value) }}
  {{- end }}
{{- end }}
{{- $_ := set $template.metadata "labels" (merge (dict) $template.metadata.labels .values.labels) }}
{{- $_ := set $template "podSpecPatch" (include "a360.podSpecPatch" (dict "values" .values "pod" .pod "text" $template.podSpecPatch)) }}
{{- end }}

{{/* The text of podSpecPatch. An expression of Argo stands unquoted in it, so it is no YAML before it was evaluated. */}}
{{- define "a360.podSpecPatch" -}}
{{- $pods := .values.pods }}
{{- $text := regexReplaceAllLiteral "terminationGracePeriodSeconds: [0-9]+" .text (printf "terminationGracePeriodSeconds: %d" (int64 $pods.graceSeconds)) }}
{{- $text = regexReplaceAllLiteral "requests: {cpu: [^,]+, memory: [^}]+}" $text (printf "requests: {cpu: %s, memory: %s}" $pods.executorCpu $pods.executorMemory) }}
{{- $text = regexReplaceAllLiteral "limits: {memory: [^}]+}" $text (printf "limits: {memory: %s}" $pods.executorMemory) }}
{{- if .pod.memory }}
  {{- $steps := include "a360.memorySteps" (dict "memory" .pod.memory "retries" .values.retries) | fromYamlArray }}
  {{- $text = regexReplaceAllLiteral "{{=\\['[^\\]]*'\\]\\[" $text (printf "{{=['%s'][" (join "', '" $steps)) }}
  {{- $text = regexReplaceAllLiteral "min\\(asInt\\(retries\\), [0-9]+\\)" $text (printf "min(asInt(retries), %d)" (int64 .values.retries.oom)) }}
{{- end }}
{{- with .pod.runtimeClass }}
  {{- $text = $text | replace "\ninitContainers:" (printf "\nruntimeClassName: %s\ninitContainers:" .) }}
{{- end }}
{{- $text }}
{{- end }}

{{/* The memory of the attempts after one that ran out of it, as a YAML list. */}}
{{- define "a360.memorySteps" -}}
{{- $amount := .memory | replace "Mi" "" | replace "Gi" "" | int64 }}
{{- if hasSuffix "Gi" .memory }}{{ $amount = mul $amount 1024 }}{{ end }}
{{- $steps := list .memory }}
{{- $above := 1 }}
{{- $below := 1 }}
{{- range until (int .retries.oom) }}
  {{- $above = mul $above $.retries.oomGrowthPercent }}
  {{- $below = mul $below 100 }}
  {{- $grown := div (mul $amount $above) $below }}
  {{- $steps = append $steps (mod $grown 1024 | eq 0 | ternary (printf "%dGi" (div $grown 1024)) (printf "%dMi" $grown)) }}
{{- end }}
{{- toYaml $steps }}
{{- end }}

{{/* The image, the environment and the resources of a container. */}}
{{- define "a360.setContainer" -}}
{{- $container := .container }}
{{- $name := regexFind "[a-z]+@" $container.image | trimSuffix "@" }}
{{- $own := get .values.images $name | default dict }}
{{- $image := include "a360.image" $own }}
{{- $_ := set $container "image" $image }}
{{- $_ := set $container "imagePullPolicy" .values.images.pullPolicy }}
{{- $_ := set $container "env" (include "a360.environment" (dict "values" .values "env" $container.env "digest" ($own.digest | default $image)) | fromYamlArray) }}
{{- $_ := set $container.resources "requests" (merge (dict "cpu" .pod.cpu "memory" .pod.memory) $container.resources.requests) }}
{{- $_ := set $container.resources "limits" (merge (dict "memory" .pod.memory) $container.resources.limits) }}
{{- end }}

{{/*
The environment of a container as a YAML list. Who gets which Secret is decided in files/: values only say
where it is, and without one the variable is left out.
*/}}
{{- define "a360.environment" -}}
{{- $secrets := dict "WANDB_API_KEY" .values.wandb "A360_JUDGE_API_KEY" .values.judge "HF_TOKEN" .values.hub }}
{{- $list := list }}
{{- $store := false }}
{{- range .env }}
  {{- if hasPrefix "AWS_" .name }}
    {{- if not $store }}{{ $list = concat $list (include "a360.storeEnvironment" $.values.s3 | fromYamlArray) }}{{ end }}
    {{- $store = true }}
  {{- else if hasKey $secrets .name }}
    {{- $secret := get $secrets .name }}
    {{- if $secret.existingSecret }}
      {{- $reference := dict "name" $secret.existingSecret "key" $secret.key }}
      {{- if $secret.optional }}{{ $_ := set $reference "optional" true }}{{ end }}
      {{- $list = append $list (dict "name" .name "valueFrom" (dict "secretKeyRef" $reference)) }}
    {{- end }}
  {{- else if eq .name "A360_IMAGE_DIGEST" }}
    {{- $list = append $list (dict "name" .name "value" $.digest) }}
  {{- else if eq .name "A360_GRACE_SECONDS" }}
    {{- $list = append $list (dict "name" .name "value" ($.values.pods.graceSeconds | int64 | toString)) }}
  {{- else if eq .name "A360_IMAGE_DIGESTS" }}
    {{- $digests := list }}
    {{- range $image := list $.values.images.evaluator $.values.images.light }}
      {{- $digests = append $digests ($image.digest | default (include "a360.image" $image)) }}
    {{- end }}
    {{- $list = append $list (dict "name" .name "value" (join "," $digests)) }}
  {{- else }}
    {{- $list = append $list . }}
  {{- end }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{/* How often and how fast something is tried again; for which causes is decided in files/. */}}
{{- define "a360.setRetry" -}}
{{- $_ := set .strategy "limit" (int64 .retry.limit) }}
{{- $_ := set .strategy "backoff" (dict "duration" (int64 .retry.firstSeconds | toString) "factor" (int64 .retry.factor) "cap" (printf "%ds" (int64 .retry.capSeconds))) }}
{{- $_ := set .strategy "expression" (regexReplaceAllLiteral "asInt\\(retries\\) < [0-9]+" .strategy.expression (printf "asInt(retries) < %d" (int64 .oom))) }}
{{- end }}

{{/* The labels of a child, in the text that is applied for it. */}}
{{- define "a360.setManifest" -}}
{{- $lines := "" }}
{{- range $key, $value := .labels }}{{ $lines = printf "%s    %s: %s\n" $lines $key (toJson $value) }}{{ end }}
{{- $_ := set .resource "manifest" (replace "\n  labels:\n" (printf "\n  labels:\n%s" $lines) .resource.manifest) }}
{{- end }}

{{/* The device, the queue for it, shared memory, the cache and the progress of evaluate. */}}
{{- define "a360.setEvaluate" -}}
{{- $template := .template }}
{{- $device := .values.accelerator }}
{{- range $part := list "requests" "limits" }}
  {{- $resources := pick (index $template.container.resources $part) "cpu" "memory" }}
  {{- if $device.count }}{{ $_ := set $resources $device.resource (int64 $device.count | toString) }}{{ end }}
  {{- $_ := set $template.container.resources $part $resources }}
{{- end }}
{{- range $template.volumes }}
  {{- if eq .name "shm" }}{{ $_ := set .emptyDir "sizeLimit" $device.sharedMemory }}{{ end }}
{{- end }}
{{- with $device.queue }}
  {{- $_ := set $template.metadata.labels "kueue.x-k8s.io/queue-name" . }}
{{- end }}
{{- $_ := set $template.metadata.annotations "workflows.argoproj.io/progress" .values.progress }}
{{- with .values.cache }}
  {{- if ne .kind "none" }}
    {{- $volume := dict "name" "cache" "emptyDir" (empty .size | ternary dict (dict "sizeLimit" .size)) }}
    {{- if eq .kind "claim" }}{{ $volume = dict "name" "cache" "persistentVolumeClaim" (dict "claimName" .claim) }}{{ end }}
    {{- $_ := set $template "volumes" (append $template.volumes $volume) }}
    {{- $_ := set $template.container "volumeMounts" (append $template.container.volumeMounts (dict "name" "cache" "mountPath" "/a360/cache")) }}
    {{- $_ := set $template.container "args" (append $template.container.args "--cache-dir=/a360/cache") }}
  {{- end }}
{{- end }}
{{- end }}

{{/* (dict "map" m "key" k "value" v): an empty value is no key. */}}
{{- define "a360.setOrUnset" -}}
{{- if .value }}{{ $_ := set .map .key .value }}{{ else }}{{ $_ := unset .map .key }}{{ end }}
{{- end }}

{{- define "a360.pullSecrets" -}}
{{- $list := list }}
{{- range .pullSecrets }}{{ $list = append $list (dict "name" .) }}{{ end }}
{{- toYaml $list }}
{{- end }}
