{{/* An image as a pod names it: .repository with .digest, or with .tag. */}}
{{- define "a360.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else if .tag }}{{ .repository }}:{{ .tag }}
{{- else }}{{ fail (printf "the image %s has neither a digest nor a tag" .repository) }}{{ end }}
{{- end }}

{{/* The environment, as a YAML list, that gives a pod the credentials of the store: .existingSecret and .keys. */}}
{{- define "a360.storeEnvironment" -}}
{{- $list := list }}
{{- if .existingSecret }}
{{- range $name, $key := .keys }}
{{- $list = append $list (dict "name" $name "valueFrom" (dict "secretKeyRef" (dict "name" $.existingSecret "key" $key))) }}
{{- end }}
{{- end }}
{{- toYaml $list }}
{{- end }}
