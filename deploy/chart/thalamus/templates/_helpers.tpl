{{- define "thalamus.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "thalamus.selector" -}}
app.kubernetes.io/name: thalamus
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "thalamus.labels" -}}
{{ include "thalamus.selector" . }}
app.kubernetes.io/part-of: thalamus
app.kubernetes.io/version: {{ .root.Values.image.tag | quote }}
{{- end -}}

{{- /* The settings as the gateway will read them: the operator's, with what only the chart can know. */ -}}
{{- define "thalamus.config" -}}
{{- $root := .root -}}
{{- $config := deepCopy $root.Values.config -}}
{{- if .over }}{{ $config = mergeOverwrite $config (deepCopy .over) }}{{ end -}}
{{- $server := merge (dict "host" "0.0.0.0" "port" 8080) ($config.server | default dict) -}}
{{- $_ := set $config "server" $server -}}
{{- if ne $root.Values.redis.mode "none" -}}
{{- $url := ternary (printf "redis://:${REDIS_PASSWORD}@%s-redis:6379/0" (include "thalamus.name" $root)) $root.Values.redis.url (eq $root.Values.redis.mode "own") -}}
{{- $_ := set $config "redis" (merge (dict "url" $url) ($config.redis | default dict)) -}}
{{- $_ := set $config "key_store" (merge (dict "place" "redis") ($config.key_store | default dict)) -}}
{{- else -}}
{{- $_ := set $config "key_store" (merge ($config.key_store | default dict) (dict "path" "/var/lib/thalamus/keys.json")) -}}
{{- $_ := set $config "ledger" (merge ($config.ledger | default dict) (dict "path" "/var/lib/thalamus/usage.db")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "thalamus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "thalamus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "thalamus.deployment" -}}
{{- $root := .root -}}
{{- $server := (include "thalamus.config" (dict "root" $root "over" .over) | fromYaml).server -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "thalamus.labels" . | nindent 4 }}
spec:
  {{- if .replicas }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  # Each new pod is ready before an old one goes: a change of settings rolls without a dropped stream.
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels: {{- include "thalamus.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "thalamus.labels" . | nindent 8 }}
      annotations:
        checksum/config: {{ include "thalamus.config" (dict "root" $root "over" .over) | sha256sum }}
    spec:
      serviceAccountName: {{ include "thalamus.name" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false  # THALAMUS_PORT and the like would be read as settings
      # SIGTERM is the drain hook: unready at once, notice_s of further service, drain_s for open answers.
      terminationGracePeriodSeconds: {{ add ($server.notice_s | default 5 | int) ($server.drain_s | default 600 | int) 20 }}
      securityContext: {{- include "thalamus.podSecurity" $root | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $root.Values.topologySpread }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "thalamus.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      containers:
        - name: gateway
          image: "{{ $root.Values.image.repository }}:{{ .tag }}"
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve, --config, /etc/thalamus/thalamus.yaml]
          ports: [{name: http, containerPort: 8080}]
          envFrom:
            - secretRef: {name: {{ $root.Values.secrets.existing }}}
          startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1, failureThreshold: 60}
          readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 2}
          livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
          resources: {{- toYaml $root.Values.resources | nindent 12 }}
          securityContext: {{- include "thalamus.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: config, mountPath: /etc/thalamus, readOnly: true}
            - {name: state, mountPath: /var/lib/thalamus}
            - {name: tmp, mountPath: /tmp}
            {{- with $root.Values.bundles.claim }}
            - {name: bundles, mountPath: /bundles, subPath: bundles, readOnly: true}
            {{- end }}
      volumes:
        - {name: config, configMap: {name: {{ .name }}}}
        - {name: state, emptyDir: {sizeLimit: 1Gi}}
        - {name: tmp, emptyDir: {sizeLimit: 256Mi}}
        {{- with $root.Values.bundles.claim }}
        - {name: bundles, persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}}
        {{- end }}
{{- end -}}

{{- define "thalamus.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "thalamus.labels" . | nindent 4 }}
data:
  thalamus.yaml: |
    {{- include "thalamus.config" (dict "root" .root "over" .over) | nindent 4 }}
{{- end -}}

{{- define "thalamus.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "thalamus.labels" . | nindent 4 }}
spec:
  selector: {{- include "thalamus.selector" . | nindent 4 }}
  ports: [{name: http, port: {{ .root.Values.service.port }}, targetPort: http}]
{{- end -}}
