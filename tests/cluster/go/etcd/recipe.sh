programs="etcd"
package() { echo go.etcd.io/etcd/server/v3; } # the root of the module is the main package
