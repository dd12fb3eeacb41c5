# Kubernetes' own go.mod replaces its staging modules by folders that the module archive does not have;
# go.mod here names their published versions instead. kubectl comes along: one of the machine may not fit.
programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl"
package() { echo "k8s.io/kubernetes/cmd/$1"; }
ldflags="-X k8s.io/component-base/version.gitVersion=v1.34.4
  -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
