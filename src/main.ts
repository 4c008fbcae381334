console.log('configuration-service')
