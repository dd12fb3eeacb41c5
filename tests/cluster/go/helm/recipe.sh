programs="helm"
package() { echo helm.sh/helm/v4/cmd/helm; }
ldflags="-X helm.sh/helm/v4/internal/version.version=v4.2.4"
