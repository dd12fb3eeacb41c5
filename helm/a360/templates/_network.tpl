{{/*
Who may talk to whom. Every pod of a360 is denied all traffic by one policy; each of the others opens one way
out for the kinds of pods that need it. No policy opens a way in.
*/}}

{{/* An egress policy: (dict "root" $ "name" "a360-s3" "of" <templates> "to" <peers> "ports" <numbers>). */}}
{{- define "a360.egressPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "a360.metadata" (dict "root" .root "name" .name) | nindent 2 }}
spec:
  podSelector:
    {{- include "a360.podsOf" .of | nindent 4 }}
  policyTypes: [Egress]
  egress:
    - to:
        {{- toYaml .to | nindent 8 }}
      ports:
        {{- range .ports }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
{{- end }}

{{/* A pod selector, as YAML, of the pods of some templates: (list "plan" "publish"). */}}
{{- define "a360.podsOf" -}}
matchLabels:
  app.kubernetes.io/part-of: a360
matchExpressions:
  - key: a360/template
    operator: In
    values:
      {{- toYaml . | nindent 6 }}
{{- end }}

{{/*
Where the API server is, as a YAML map of "to" and "ports": the values, or else what the cluster says of its
Service and of the addresses behind it (a policy may be applied before or after the Service's translation).
Empty where there is no cluster to ask.
*/}}
{{- define "a360.apiServer" -}}
{{- $own := .Values.networkPolicies.apiServer }}
{{- $peers := $own.to | default list }}
{{- $ports := $own.ports | default list }}
{{- if not $peers }}
  {{- $service := lookup "v1" "Service" "default" "kubernetes" }}
  {{- range (dig "spec" "clusterIPs" list $service) }}
    {{- $peers = append $peers (dict "ipBlock" (dict "cidr" (include "a360.hostCidr" .))) }}
  {{- end }}
  {{- $slice := lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes" }}
  {{- range (dig "endpoints" list $slice) }}
    {{- range .addresses }}
      {{- $peers = append $peers (dict "ipBlock" (dict "cidr" (include "a360.hostCidr" .))) }}
    {{- end }}
  {{- end }}
  {{- range (concat (dig "spec" "ports" list $service) (dig "ports" list $slice)) }}
    {{- $ports = append $ports (int .port) }}
  {{- end }}
{{- end }}
{{- toYaml (dict "to" (uniq $peers) "ports" (uniq $ports)) }}
{{- end }}

{{- define "a360.hostCidr" -}}
{{ . }}{{ contains ":" . | ternary "/128" "/32" }}
{{- end }}
