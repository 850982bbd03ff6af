{{- define "cairn.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "cairn.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cairn.labels" -}}
{{ include "cairn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Names of all pods. */}}
{{- define "cairn.nodes" -}}
{{- $names := list -}}
{{- range $zone := .Values.zones -}}
{{- range $number := until (int $.Values.nodesPerZone) -}}
{{- $names = append $names (printf "%s-%s-%d" (include "cairn.fullname" $) $zone $number) -}}
{{- end -}}
{{- end -}}
{{- join " " $names -}}
{{- end -}}

{{/* Those that keep the index: one in each zone, an odd number of them, five at the most. */}}
{{- define "cairn.indexNodes" -}}
{{- $count := min 5 (len .Values.zones) | int -}}
{{- if eq (mod $count 2) 0 -}}{{- $count = sub $count 1 | int -}}{{- end -}}
{{- $names := list -}}
{{- range $zone := slice .Values.zones 0 $count -}}
{{- $names = append $names (printf "%s-%s-0" (include "cairn.fullname" $) $zone) -}}
{{- end -}}
{{- join " " $names -}}
{{- end -}}

{{/* Three quarters of the server's memory limit. */}}
{{- define "cairn.memoryLimit" -}}
{{- $limit := .Values.resources.limits.memory | toString -}}
{{- $mebibytes := 0 -}}
{{- if hasSuffix "Gi" $limit -}}{{- $mebibytes = mulf 1024 (trimSuffix "Gi" $limit | float64) -}}
{{- else if hasSuffix "Mi" $limit -}}{{- $mebibytes = trimSuffix "Mi" $limit | float64 -}}
{{- else -}}{{- fail (printf "resources.limits.memory is %s: write it in Mi or Gi" $limit) -}}{{- end -}}
{{- printf "%dMiB" (mulf 0.75 $mebibytes | int) -}}
{{- end -}}

{{- define "cairn.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What the containers of a pod have in common. */}}
{{- define "cairn.container" -}}
image: {{ include "cairn.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "cairn.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: CAIRN_CONFIG
  value: /etc/cairn/cairn.toml
- name: CAIRN_NODE_DIR
  value: /var/lib/cairn/node
- name: CAIRN_RPC_ADVERTISE
  value: $(NODE_NAME).{{ include "cairn.fullname" . }}-nodes.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:9002
{{- end -}}

{{- define "cairn.mounts" -}}
- name: lib
  mountPath: /var/lib/cairn
- name: config
  mountPath: /etc/cairn
  readOnly: true
{{- range $n := until (int .Values.disks.count) }}
- name: disk{{ $n }}
  mountPath: /srv/cairn/disk{{ $n }}
{{- end }}
{{- end -}}

{{- define "cairn.claim" -}}
- metadata:
    name: {{ .name }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .class }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}
