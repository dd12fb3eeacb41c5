{{/* A suite's CronWorkflow: (dict "root" $ "file" "cron-demo" "name" "a360-amber" "schedule" <entry> "times" <lines>). */}}
{{- define "a360.cronWorkflow" -}}
{{- $object := .root.Files.Get (printf "files/%s.yaml" .file) | fromYaml }}
{{- $own := .root.Values.schedules }}
{{- $labels := merge (include "a360.labels" .root | fromYaml) (dict "a360/suite" .schedule.suite) $object.metadata.labels .root.Values.labels }}
{{- $_ := set $object "metadata" (dict "name" .name "namespace" .root.Release.Namespace "labels" $labels) }}
{{- with $object.spec }}
  {{- $_ := set . "schedules" $.times }}
  {{- $_ := set . "suspend" ($.schedule.suspend | default false) }}
  {{- $_ := set . "timezone" $own.timeZone }}
  {{- $_ := set . "startingDeadlineSeconds" (int64 $own.startingDeadlineSeconds) }}
  {{- $_ := set . "successfulJobsHistoryLimit" (int64 $own.history) }}
  {{- $_ := set . "failedJobsHistoryLimit" (int64 $own.history) }}
  {{- range .workflowSpec.arguments.parameters }}
    {{- if eq .name "suite" }}{{ $_ := set . "value" $.schedule.suite }}{{ end }}
  {{- end }}
{{- end }}
{{- toYaml $object }}
{{- end }}
