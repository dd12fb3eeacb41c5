{{/* The lock of a suite's publication: its entity and project, as W&B knows them, in letters that a lock may have. */}}
{{- define "a360.publishLock" -}}
{{- $project := dig "publish" "project" "" . | default (dig "model" "name" "" .) }}
{{- $entity := dig "publish" "entity" "" . }}
{{- regexReplaceAll "[^a-z0-9.-]+" (list $entity $project | compact | join "." | lower) "-" }}
{{- end }}

{{/*
Where generated code and its verdicts pass between pods, as a YAML map of bucket, endpoint, region and insecure:
the values, or else the store of the first suite. Empty without either.
*/}}
{{- define "a360.artifactPlace" -}}
{{- $place := pick .Values.artifacts "bucket" "endpoint" "region" "insecure" }}
{{- if not $place.bucket }}
  {{- $place = dict }}
  {{- range $name := keys .Values.suites | sortAlpha | reverse }}
    {{- $store := get (fromYaml (get $.Values.suites $name)) "store" | default dict }}
    {{- if hasPrefix "s3://" (toString $store.uri) }}
      {{- $url := dig "s3" "endpoint_url" "" $store | default "https://s3.amazonaws.com" }}
      {{- $place = dict "bucket" (regexFind "[^/]+" (trimPrefix "s3://" $store.uri)) "endpoint" (regexReplaceAll "^[a-z]+://([^/]+).*$" $url "${1}")
            "region" (dig "s3" "region" "" $store) "insecure" (hasPrefix "http://" $url) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- toYaml $place }}
{{- end }}
